"""`job ID`: the verdict, what is used of what is held, and the lines to change."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aggregator.client.columns import asked_gpus, findings, is_pending
from aggregator.client.errors import ClientError, Refused
from aggregator.client.output import Command, Display, of_cluster
from aggregator.client.quota import missing
from aggregator.client.screen import BAD, FAINT, GOOD, HEAD, STYLES, Line, Screen
from aggregator.client.service import Answer, Api, Call, named
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

Row = dict[str, Any]
_BAR_CELLS: Final = 20


def job_command(flags: argparse.Namespace, service: Api) -> Command:
    """Show one job, and advice on it."""
    path = of_cluster(service, f"/jobs/{named(flags.job)}")
    asked = Call(path), Call(f"{path}/advice")

    def read() -> tuple[Answer, Answer | ClientError]:
        job, advice = service.ask_all(asked)
        if isinstance(job, ClientError):
            raise job
        return job, advice

    def json() -> Answer:
        answers = read()
        found = {str(call): each.data for call, each in zip(asked, answers, strict=True) if isinstance(each, Answer)}
        return Answer(found, missing(answers))

    return Command(json=json, draw=lambda: _drawn(*read()))


def _drawn(job: Answer, advised: Answer | ClientError) -> Display:
    runs: list[Row] = job.data["runs"]
    if not runs:
        raise Refused(f"job {job.data['job_id']}: no run of it is known")
    run, advice = runs[-1], advised.data if isinstance(advised, Answer) else None

    def draw(screen: Screen) -> None:
        screen.print(*_head(runs), "", *_verdict(run), "")
        screen.print(*([_asked(run)] if is_pending(run) else _bars(screen, run)), "")
        for title, lines in (
            ("Change these lines", list(_advice(advice) if advice else ())), ("Rules that fired", list(_rules(run))),
            ("Not judged", list(_not_judged(run))), ("Alerts", list(_alerts(run))),
        ):  # fmt: skip
            if lines:
                screen.print([(title, HEAD)], *lines, "")
        if not is_pending(run):
            screen.print(_energy(run))

    return Display(draw, missing([job, advised]))


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
    "memory": lambda used: f"{size(used)} of memory on a node at the peak",
    "cpus": lambda used: f"{counted(used, 'CPU')} on average",
    "gpus": lambda used: f"{counted(used, 'GPU')}",
    "time": lambda used: f"{duration(used)} of time",
}


def _advice(advice: Row) -> Iterator[Line]:
    changes: list[Row] = advice["changes"]
    one = "One run of this name" if advice["similar_runs"] else "This run"
    lines = [
        f"#SBATCH {each['option']}={each['suggested']}" if each["suggested"] else f"no {each['option']}"
        for each in changes
    ]
    width = max(map(len, lines), default=0)
    for each, line in zip(changes, lines, strict=True):
        yield ["  ", (f"{line:<{width}}", GOOD), f"  instead of {each['requested']}"]
        yield [f"    {_basis(each, one)}"]


def _basis(change: Row, one: str) -> str:
    """Say from how many runs, and which quantile of them; one stands for a single run."""
    if change["used"] is None:
        return str(change["why"])
    used, runs, quantile = _MEANT[change["resource"]](change["used"]), change["runs"], change["quantile"]
    used = f"used at most {used}"
    if runs == 1:
        return f"{one} {used}."
    share = f"{100 * quantile:.0f} % of" if quantile and runs > 1 / (1 - quantile) else "All of"
    return f"{share} {runs} runs of this name {used}."


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
