"""Usage by period: given slurmdbd's rows, and what runs have used since they were rolled up."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aggregator.model.calendar import Calendar, Resolution
from aggregator.model.job_inputs import Runs
from aggregator.model.run_usage import used_between
from aggregator.model.usage import UsageCatalog, is_of_jobs


@dataclass(frozen=True, slots=True)
class Point:
    """One period's usage; final when slurmdbd has rolled all of it up. seconds are TRES × seconds."""

    start: float
    seconds: float
    final: bool


def with_below(account: str, parents: Mapping[str, str]) -> frozenset[str]:
    """Give the account and all below it; a tree that loops does no harm."""
    found, new = frozenset((account,)), frozenset((account,))
    while new:
        new = frozenset(name for name, parent in parents.items() if parent in new) - found
        found |= new
    return found


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
    runs: Runs, begin: float, end: float, resolution: Resolution, calendar: Calendar
) -> dict[tuple[str, float], float]:
    """Add up what runs have used in [begin, end) by TRES and start of the period."""
    sums: dict[tuple[str, float], float] = {}
    for start in calendar.periods(calendar.floor(begin, resolution), end, resolution):
        stop = calendar.following(start, resolution)
        used = used_between(runs, max(start, begin), min(stop, end))
        for tres, seconds in used.group_by("tres").agg(pl.col("seconds").sum()).iter_rows():
            sums[tres, start] = seconds
    return sums
