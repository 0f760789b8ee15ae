"""`job ID`: the verdict, what is used of what is held, and the lines to change."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aggregator.client.columns import asked_gpus, findings, is_pending
from aggregator.client.errors import ClientError, Refused
from aggregator.client.output import Command, Display, of_cluster
from aggregator.client.screen import BAD, FAINT, GOOD, HEAD, STYLES, Line, Screen
from aggregator.client.service import Api, Call, named
from aggregator.client.units import (
    UNKNOWN,
    counted,
    duration,
    energy,
    field,
    hours,
    mass,
    moment,
    number,
    percent,
    size,
)
from aggregator.model.advice import QUANTILE, Advice, advise

Row = dict[str, Any]
# How many earlier runs advice rests on, and how old they may be.
_RUNS, _DAYS = 20, 30
_BAR_CELLS: Final = 20
_NEEDED: Final = (
    "id", "run_id", "state", "granted_cpus", "granted_nodes", "granted_gpus", "granted_memory_bytes",
    "elapsed_seconds", "cpu_efficiency_ratio", "memory_peak_bytes", "gpu_efficiency_ratio",
)  # fmt: skip


def job_command(flags: argparse.Namespace, service: Api) -> Command:
    """Show one job."""
    path = of_cluster(service, f"/jobs/{named(flags.job)}")
    return Command(json=lambda: service.ask(Call(path)), draw=lambda: _drawn(service, path))


def _drawn(service: Api, path: str) -> Display:
    answer = service.ask(Call(path))
    runs: list[Row] = answer.data["runs"]
    if not runs:
        raise Refused(f"job {answer.data['job_id']}: no run of it is known")
    run = runs[-1]
    before, why = _before(service, path, run)
    advised = advise(run, before, run["waste"])

    def draw(screen: Screen) -> None:
        screen.print(*_head(runs), "", *_verdict(run), "")
        screen.print(*([_asked(run)] if is_pending(run) else _bars(screen, run)), "")
        for title, lines in (
            ("Change these lines", [*_advice(screen, advised), *why]), ("Rules that fired", list(_rules(run))),
            ("Not judged", list(_not_judged(run))), ("Alerts", list(_alerts(run))),
        ):  # fmt: skip
            if lines:
                screen.print([(title, HEAD)], *lines, "")
        if not is_pending(run):
            screen.print(_energy(run))

    return Display(draw, answer.warnings)


def _before(service: Api, path: str, run: Row) -> tuple[list[Row], list[Line]]:
    """Read earlier runs alike, or say why not: advice then rests on this run alone."""
    name, user = run["job_name"], run["user"]
    # A comma separates values in the API's grammar.
    if not (name and user) or "," in name or not run["elapsed_seconds"]:
        return [], []
    asked = Call(
        f"{path.rpartition('/')[0]}/history",
        (
            ("start", f"now-{_DAYS}d"), ("user", user), ("job_name", name), ("state", "completed"),
            ("limit", str(_RUNS)), ("fields", ",".join(_NEEDED)),
        ),
    )  # fmt: skip
    try:
        return service.ask(asked).data["jobs"], []
    except ClientError as error:
        return [], [[(f"  earlier runs are not known: {error}", FAINT)]]


def _head(runs: Sequence[Row]) -> Iterator[Line]:
    run = runs[-1]
    yield [(f"Job {run['id']}", HEAD), f"  {run['job_name'] or ''}"]
    state = str(run["state"] or UNKNOWN).replace("_", " ")
    elapsed = run["elapsed_seconds"]
    since = "" if not elapsed else f" for {duration(elapsed)}" if run["is_open"] else f" after {duration(elapsed)}"
    nodes = run["nodes"] or []
    where = ",".join(nodes[:4]) + (f" and {len(nodes) - 4} more" if len(nodes) > 4 else "")
    facts = (f"{state}{since}", run["user"], run["account"], f"partition {run['partition']}", where)
    yield [(" · ".join(str(each) for each in facts if each), FAINT)]
    if earlier := Counter(str(each["state"]) for each in runs[:-1]):
        counted = ", ".join(f"{count} {state}" for state, count in earlier.items())
        yield [(f"earlier runs of this id: {counted}", FAINT)]


def _verdict(run: Row) -> Iterator[Line]:
    found, not_judged = findings(run), run["not_judged"]
    whole = [each["because"] for each in not_judged if each["rule"] is None]
    if found:
        rules = ", ".join(f"{each['reason']} {each['severity']}" for each in found)
        yield [(f"{found[0]['message'].rstrip('.')} ({rules}).", STYLES.get(found[0]["severity"], BAD))]
    elif whole:
        yield [(f"Not judged, because {whole[0]}.", HEAD)]
    else:
        yield ["No rule of waste holds, as far as it is judged."] if not_judged else [("No rule of waste holds.", GOOD)]
    if is_pending(run):
        return
    yield [f"Wasted{' so far' if run['is_open'] else ''}: ", (_wasted(run), HEAD)]


def _wasted(run: Row) -> str:
    parts = [
        hours(run["wasted_gpu_seconds"], "GPU-hours") if run["granted_gpus"] else "",
        hours(run["wasted_cpu_seconds"], "CPU-hours"),
        f"{size(run['wasted_memory_bytes'])} of memory" if run["wasted_memory_bytes"] else "",
    ]
    return ", ".join(filter(None, parts))


def _asked(run: Row) -> Line:
    gpus = asked_gpus(run)
    parts = (
        counted(run["requested_cpus"], "CPU"), f"{size(run['requested_memory_bytes'])} of memory",
        counted(gpus, "GPU") if gpus != 0 else "", _limit(run),
    )  # fmt: skip
    return [f"Asks for {', '.join(filter(None, parts))}."]


def _limit(run: Row) -> str:
    return "no limit" if run["time_limit_seconds"] is None else duration(run["time_limit_seconds"])


def _bars(screen: Screen, run: Row) -> Iterator[Line]:
    for name, ratio, words, observed in _used(run):
        shown = f"{percent(ratio)} %" if ratio is not None else UNKNOWN
        seen = f"  observed {percent(observed)} %" if observed is not None and observed < 0.995 else ""
        yield [f"{name:<8}", screen.bar(ratio, _BAR_CELLS), f" {shown:>5}  {words}", (seen, FAINT)]
    if source := run.get("efficiency_source"):
        yield [(f"CPUs and memory are from {str(source).replace('_', ' ')}.", FAINT)]


def _used(run: Row) -> Iterator[tuple[str, float | None, str, float | None]]:
    """Give of each resource its name, used ÷ held, both in words, and how much of it was observed."""
    coverage, cpus, gpus = run["coverage"], run["granted_cpus"], run["granted_gpus"]
    ratio = run["cpu_efficiency_ratio"]
    busy = None if ratio is None or cpus is None else ratio * cpus
    yield "CPUs", ratio, f"{number(busy)} of {number(cpus)} busy on average", coverage.get("cpu")
    ratio = run["memory_efficiency_ratio"]
    held, peak = run["granted_memory_bytes"], run["memory_peak_bytes"]
    if peak is None and ratio is not None and held is not None:
        peak = ratio * held
    yield "Memory", ratio, f"{size(peak)} of {size(held)} at the peak", coverage.get("memory")
    if gpus != 0:
        over = run["gpu_efficiency_ratio"]
        ratio, when = (run["gpu_utilization_ratio"], "now") if over is None else (over, "on average")
        busy = None if ratio is None or gpus is None else ratio * gpus
        yield "GPUs", ratio, f"{number(busy)} of {number(gpus)} used {when}", coverage.get("gpu")
    yield "Time", run["time_limit_used_ratio"], f"{duration(run['elapsed_seconds'])} of {_limit(run)}", None


_MEANT: Final = {
    "bytes": lambda amount: f"{size(amount)} of memory at the peak",
    "cpus": lambda amount: f"{counted(amount, 'CPU')} on average",
    "gpus": lambda amount: f"{counted(amount, 'GPU')}, now or on average",
    "seconds": lambda amount: f"{duration(amount)} of time",
}


def _advice(screen: Screen, advised: Sequence[Advice]) -> Iterator[Line]:
    lines = [f"#SBATCH {each.option}={each.better}" if each.better else f"no {each.option}" for each in advised]
    width = max(map(len, lines), default=0)
    for each, line in zip(advised, lines, strict=True):
        yield ["  ", (f"{line:<{width}}", GOOD), f"  instead of {each.asked}"]
        yield [f"    {_basis(each)}"]


def _basis(advice: Advice) -> str:
    """Say from how many runs, and which quantile of them."""
    used = f"used at most {_MEANT[advice.unit](advice.amount)}"
    if advice.runs == 1:
        return f"This run {used}."
    share = f"{100 * QUANTILE:.0f} % of" if advice.runs > 1 / (1 - QUANTILE) else "All of"
    return f"{share} {advice.runs} runs of this name {used}."


def _rules(run: Row) -> Iterator[Line]:
    for each in findings(run):
        value = field(f"_{each['unit']}", each["value"])
        threshold = field(f"_{each['unit']}", each["threshold"])
        compared = f"{each['field']} {value} {each['operator']} {threshold}"
        yield ["  ", (each["reason"], STYLES.get(each["severity"], "")), f" ({each['severity']}): {compared}"]
        if each["fix"]:
            yield [f"    {each['fix']}"]


def _not_judged(run: Row) -> Iterator[Line]:
    for each in run["not_judged"]:
        if each["rule"] is not None:
            yield [f"  {each['rule']}: {each['because']}"]


def _alerts(run: Row) -> Iterator[Line]:
    for each in run["alerts"] or ():
        ended = each["resolved_timestamp_seconds"]
        until = f", ended {moment(ended)}" if ended else ""
        yield [f"  {each['reason']} ({each['severity']}) since {moment(each['start_timestamp_seconds'])}{until}"]


def _energy(run: Row) -> Line:
    amounts: Counter[str] = Counter()
    for each in run["costs"]:
        amounts[each["currency"]] += each["amount"]
    cost = ", ".join(f"{_money(amount)} {currency}" for currency, amount in amounts.items()) or UNKNOWN
    return [f"Energy {energy(run['energy_joules_total'])}, CO2 {mass(run['co2_grams_total'])}, cost {cost}"]


def _money(amount: float) -> str:
    return "<0.01" if 0 < amount < 0.005 else f"{amount:.2f}"
