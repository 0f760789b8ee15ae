"""What has been used in a span of time, given slurmdbd's roll-ups and the jobs' own rows?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aggregator.model.accounting import JobState, Run
from aggregator.model.association import LICENSE
from aggregator.model.calendar import Calendar, Resolution
from aggregator.model.usage import MAX_TAIL_SECONDS, Usage, UsageCatalog, UsageSums, UsageView, is_of_jobs

USER_WINDOW = "30d"


@dataclass(frozen=True, slots=True)
class Point:
    """One period's usage; final when slurmdbd has rolled all of it up. seconds are TRES × seconds."""

    start: float
    seconds: float
    final: bool


def held_by(run: Run) -> Mapping[str, float]:
    """Give what the run holds by TRES, memory in bytes; the generic gres/gpu includes every type, as Slurm's does."""
    held = run.allocated
    gpus = {f"gres/gpu:{name}": float(count) for name, count in held.gpus.items() if name}
    return {
        "cpu": float(held.cpus),
        "mem": float(held.memory_bytes or 0),
        "node": float(held.nodes),
        "billing": float(held.billing or 0),
        "gres/gpu": float(held.gpu_count),
        **gpus,
        **{f"{LICENSE}{name}": float(count) for name, count in held.licenses.items()},
    }


def used_by(run: Run, begin: float, end: float) -> Iterator[tuple[str, float]]:
    """Give what the run has used in [begin, end) by TRES, as slurmdbd would: suspension stops the CPUs only."""
    if run.start is None:
        return
    seconds = min(run.end or end, end) - max(run.start, begin)
    if seconds <= 0:
        return
    # Of an earlier suspension nobody knows when it was.
    suspended = min(run.suspended_seconds, seconds) if run.state is JobState.SUSPENDED else 0.0
    for tres, amount in held_by(run).items():
        if amount:
            yield tres, amount * (seconds - suspended if tres == "cpu" else seconds)


def with_below(account: str, parents: Mapping[str, str]) -> frozenset[str]:
    """Give the account and all below it; a tree that loops does no harm."""
    found, new = frozenset((account,)), frozenset((account,))
    while new:
        new = frozenset(name for name, parent in parents.items() if parent in new) - found
        found |= new
    return found


def tail_begin(until: float, now: float) -> float | None:
    """Tell from when on job rows stand in for roll-ups; None when these are too far behind, and nothing is known."""
    return until if now - until <= MAX_TAIL_SECONDS else None


def points_of(
    tres: str,
    rows: Mapping[tuple[str, float], float],
    until: float,
    starts: Sequence[float],
    resolution: Resolution,
    catalog: UsageCatalog,
    tail: Mapping[tuple[str, float], float] | None,
) -> list[Point]:
    """Make one TRES's points: what is missing in the rolled range is 0, before it and after it there is no point.

    rows are (TRES, start) → seconds, final before `until`. starts are boundaries up to now; tail is what the jobs have
    added since, likewise, None when unknown.
    """
    sums: defaultdict[float, float] = defaultdict(float)
    for (name, row_start), seconds in rows.items():
        if name == tres:
            sums[catalog.calendar.floor(row_start, resolution)] += seconds
    filled = tail is not None and is_of_jobs(tres)
    first = catalog.first.get(resolution, catalog.first.get("hour"))
    found = []
    for start in starts:
        is_rolled = start < until and first is not None and start >= catalog.calendar.floor(first, resolution)
        if is_rolled or (filled and start >= until):
            added = (tail or {}).get((tres, start), 0.0)
            final = catalog.calendar.following(start, resolution) <= until
            found.append(Point(start, sums.get(start, 0.0) + added, final))
    return found


def tail_of(
    runs: Iterable[Run], begin: float, end: float, resolution: Resolution, calendar: Calendar
) -> dict[tuple[str, float], float]:
    """Add up what runs have used in [begin, end) by TRES and start of the period."""
    sums: defaultdict[tuple[str, float], float] = defaultdict(float)
    kept = list(runs)
    for start in calendar.periods(calendar.floor(begin, resolution), end, resolution):
        stop = calendar.following(start, resolution)
        for run in kept:
            for tres, seconds in used_by(run, max(start, begin), min(stop, end)):
                sums[tres, start] += seconds
    return sums


def summarize(usage: Usage, runs: Iterable[Run]) -> UsageView | None:
    """Add up all windows as of the reading, the jobs' rows since the last roll-up included; None when not known."""
    catalog = usage.catalog
    if catalog is None or "hour" not in catalog.first or tail_begin(usage.until, usage.time) is None:
        return None
    # What begins after the last roll-up, as a fiscal year does on its first day, is not known yet.
    windows = tuple(name for name, begin in usage.windows.items() if begin <= usage.until)
    sums: defaultdict[tuple[str, str], defaultdict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    for (window, id_assoc, tres), seconds in usage.associations.items():
        user, account = catalog.associations[id_assoc]
        if window in windows:
            sums[account, user][tres, window] += seconds
    for (account, user, tres), seconds in _tail(usage, runs).items():
        for window in windows:
            sums[account, user][tres, window] += seconds
    return UsageView(
        usage.until,
        _account_sums(sums, catalog, windows),
        _user_sums(sums),
        {
            (tres, state, window): seconds
            for (window, tres, state), seconds in usage.cluster.items()
            if window in windows
        },
    )


def runs_since(usage: Usage, runs: Iterable[Run]) -> Sequence[Run]:
    """Give each run once that may have used something since the last roll-up, as it ended if it has."""
    return tuple(({run.run_id: run for run in runs} | {run.run_id: run for run in usage.ended}).values())


def _tail(usage: Usage, runs: Iterable[Run]) -> Mapping[tuple[str, str, str], float]:
    """Add up what runs have used since the last roll-up by (account, user, TRES), of those that windows have."""
    tail: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for run in runs_since(usage, runs):
        for tres, seconds in used_by(run, usage.until, usage.time):
            if is_of_jobs(tres):
                tail[run.account, run.user, tres] += seconds
    return tail


_Own = Mapping[tuple[str, str], Mapping[tuple[str, str], float]]


def _account_sums(own: _Own, catalog: UsageCatalog, windows: Sequence[str]) -> tuple[UsageSums, ...]:
    """Add each account's usage to the account and to all above it; who has used nothing has 0."""
    shown = [(tres, window) for tres in sorted(set(catalog.tres.values())) if is_of_jobs(tres) for window in windows]
    sums = {account: dict.fromkeys(shown, 0.0) for account in sorted(catalog.live_accounts)}
    for (account, _), seconds in own.items():
        for name in upwards(account, catalog.parents):
            for key, amount in seconds.items() if name in sums else ():
                sums[name][key] = sums[name].get(key, 0.0) + amount
    return tuple(UsageSums(account, "", seconds) for account, seconds in sums.items())


def _user_sums(own: _Own) -> tuple[UsageSums, ...]:
    """Keep one window of each user, and only who has used something: users are many."""
    found = []
    for (account, user), seconds in sorted(own.items()):
        kept = {key: amount for key, amount in seconds.items() if key[1] == USER_WINDOW and amount}
        if kept and user:
            found.append(UsageSums(account, user, kept))
    return tuple(found)


def upwards(account: str, parents: Mapping[str, str]) -> Iterator[str]:
    """List the account and all above it, each once."""
    seen: set[str] = set()
    while account and account not in seen:
        seen.add(account)
        yield account
        account = parents.get(account, "")
