"""`digest`: what a user has used and wasted, and what is left, for a login node's message of the day."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.client.errors import ClientError, Refused
from aggregator.client.output import Command, Display, cluster_of, who_is
from aggregator.client.quota import Quotas, fullest, missing, quotas_of, space, style_of
from aggregator.client.screen import BAD, FAINT, GOOD, HEAD, POOR, Line, Screen
from aggregator.client.service import Answer, Api, Call, named
from aggregator.client.standing import NEAR, fair_share, limit_text, nearest, used_ratio
from aggregator.client.units import UNKNOWN, duration, energy, hours, mass, number, percent

# Whoever logs in reads few lines.
_MOST_QUOTAS, _MOST_ACCOUNTS, _MOST_LIMITS = 4, 4, 3
_LEAST_SECONDS: Final = "1800"
_OF_JOBS: Final = (
    "id,job_name,state,elapsed_seconds,granted_cpus,granted_gpus,cpu_efficiency_ratio,gpu_efficiency_ratio,"
    "wasted_cpu_seconds,wasted_gpu_seconds"
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Digest:
    """What was asked for a digest: name → path."""

    cluster: str
    user: str
    days: int
    asked: dict[str, Call]
    quotas: Quotas


def digest_command(flags: argparse.Namespace, service: Api) -> Command:
    """Give the digest of a user."""

    def read() -> tuple[Digest, dict[str, Answer | ClientError], list[Answer | ClientError]]:
        about = _about(flags, service)
        answers = service.ask_all([*about.asked.values(), *about.quotas.lists])
        known = dict(zip(about.asked, answers, strict=False))
        me = known["user"]
        if isinstance(me, ClientError):
            raise me
        return about, known, answers[len(known) :]

    def json() -> Answer:
        about, known, lists = read()
        every = zip((*about.asked.values(), *about.quotas.lists), (*known.values(), *lists), strict=True)
        found = {str(asked): each.data for asked, each in every if isinstance(each, Answer)}
        return Answer(found, missing([*known.values(), *lists]))

    def draw() -> Display:
        about, known, lists = read()
        found = {name: each.data for name, each in known.items() if isinstance(each, Answer)}
        rows = about.quotas.rows(lists)
        return Display(
            lambda screen: screen.print_cut(*_lines(screen, about, found, rows)), missing([*known.values(), *lists])
        )

    return Command(json=json, draw=draw)


def _about(flags: argparse.Namespace, service: Api) -> Digest:
    """Say what is asked for."""
    who, cluster = who_is(service, flags.user), cluster_of(service)
    user = who.user
    of, since = f"/clusters/{named(cluster)}", ("start", f"now-{flags.days}d")
    finished = (since, ("user", user))
    one = (*finished, ("limit", "1"), ("fields", _OF_JOBS))
    best = ("sort", "-gpu_efficiency_ratio,-cpu_efficiency_ratio")
    worst = ("sort", "-wasted_gpu_seconds,-wasted_cpu_seconds")
    asked = {
        "user": Call(f"{of}/users/{named(user)}"),
        "usage": Call(f"{of}/users/{named(user)}/usage", (since, ("resolution", "day"))),
        "sums": Call(f"{of}/jobs/history", (*finished, ("group_by", "user"))),
        "best": Call(f"{of}/jobs/history", (*one, best, ("min_elapsed_seconds", _LEAST_SECONDS))),
        "worst": Call(f"{of}/jobs/history", (*one, worst)),
    }
    try:
        quotas = quotas_of(service, who, None, None)
    except Refused:
        quotas = Quotas([])
    return Digest(cluster, user, flags.days, asked, quotas)


def _lines(screen: Screen, about: Digest, found: dict[str, Row], rows: Sequence[Any]) -> Iterator[Line]:
    yield [(f"{about.user} on {about.cluster}, the last {about.days} days", HEAD)]
    yield _item("Used", _usage(found.get("usage")))
    sums = _first(found.get("sums"))
    yield _item("Wasted", _wasted(sums) if "sums" in found else "not known")
    if sums:
        amounts = f"{energy(sums['energy_joules_total'])}, CO2 {mass(sums['co2_grams_total'])}"
        yield _item("Energy", f"{amounts} by finished jobs")
    yield _item("Now", _now(found["user"]["accounts"]))
    best, worst = _first(found.get("best")), _first(found.get("worst"))
    if worst and (worst["wasted_gpu_seconds"] or worst["wasted_cpu_seconds"]):
        yield _item("Worst job", _job(worst), POOR)
    if best and not (worst and best["id"] == worst["id"]):
        yield _item("Best job", _job(best), GOOD)
    yield from _quotas(screen, rows)
    yield from _shares(screen, found["user"]["accounts"])


def _item(name: str, text: str, style: str = "") -> Line:
    return [(f"{name:<11}", FAINT), (text, style)]


def _first(data: Row | None) -> Row | None:
    return data["jobs"][0] if data and data["jobs"] else None


def _usage(data: Row | None) -> str:
    """Write what slurmdbd has rolled up; a job's CPUs count from its start to its end, whatever they do."""
    if data is None:
        return f"{UNKNOWN} CPU-hours, {UNKNOWN} GPU-hours"
    totals = data["totals"]
    return f"{hours(totals.get('cpu'), 'CPU-hours')}, {hours(totals.get('gres/gpu'), 'GPU-hours')}"


def _wasted(sums: Row | None) -> str:
    if sums is None:
        return "no job has finished"
    parts = [_known_of(sums, "wasted_cpu_seconds", "CPU-hours")]
    if sums["allocated_gpus"]:
        parts.append(_known_of(sums, "wasted_gpu_seconds", "GPU-hours"))
    return f"{', '.join(parts)} by {number(sums['jobs'])} finished job{'s' * (sums['jobs'] != 1)}"


def _known_of(sums: Row, name: str, unit: str) -> str:
    """Write a sum, and of how much of what was held it is known where that is not all."""
    part = sums[f"{name}_coverage_ratio"]
    of = f" (known of {percent(part)} %)" if part is not None and sums[name] is not None and part < 0.995 else ""
    return f"{hours(sums[name], unit)}{of}"


def _now(accounts: Sequence[Any]) -> str:
    jobs: dict[str, int] = {}
    for each in accounts:
        for state in each["jobs"]:
            jobs[state["state"]] = jobs.get(state["state"], 0) + state["count"]
    accused = sum(each["count"] for account in accounts for each in account["waste"])
    text = ", ".join(f"{count} {state}" for state, count in jobs.items()) or "no jobs"
    return f"{text}; {accused} finding{'s' * (accused > 1)} of waste: hpc-aggregator waste" if accused else text


def _job(row: Row) -> str:
    """Write a job, how well it used what it held, and what it wasted."""
    gpus = row["granted_gpus"]
    ratio, amount, unit = (
        (row["gpu_efficiency_ratio"], row["wasted_gpu_seconds"], "GPU")
        if gpus
        else (row["cpu_efficiency_ratio"], row["wasted_cpu_seconds"], "CPU")
    )
    held = f"{percent(ratio)} % of {number(gpus or row['granted_cpus'])} {unit}s for {duration(row['elapsed_seconds'])}"
    return f"{row['id']} {row['job_name'] or ''}: {held}, {hours(amount, f'{unit}-hours')} wasted"


def _quotas(screen: Screen, rows: Sequence[Any]) -> Iterator[Line]:
    """Write the quotas that are near, or the fullest one."""
    limited = [row for row in rows if fullest(row) >= 0]
    near = [row for row in limited if fullest(row) >= NEAR]
    for row in (near or limited[:1])[:_MOST_QUOTAS]:
        bar = screen.bar(fullest(row), 8)
        where = f"{row['filesystem']} {row['owner']}: {space(row)}"
        yield [("Quota      ", FAINT), f"{bar} {percent(fullest(row))} % ", (where, style_of(row))]


def _shares(screen: Screen, accounts: Sequence[Any]) -> Iterator[Line]:
    for each in accounts[:_MOST_ACCOUNTS]:
        yield _item("Fair share", f"{each['account']}: {fair_share(each)}")
    every = [(limit, each["account"]) for each in accounts for limit in nearest(each["limits"])[:1]]
    every.sort(key=lambda pair: -used_ratio(pair[0]))
    for limit, account in every[:_MOST_LIMITS]:
        ratio = used_ratio(limit)
        style = BAD if ratio >= 1 else POOR if ratio >= NEAR else ""
        left = f"{account}: {limit_text(limit)}"
        yield [
            ("Headroom   ", FAINT),
            f"{screen.bar(1 - ratio, 8)} {percent(max(0.0, 1 - ratio))} % left ",
            (left, style),
        ]
