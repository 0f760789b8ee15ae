"""Sum up usage over windows: slurmdbd's roll-ups once an hour, what the jobs have added since every ten minutes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from aggregator import executors
from aggregator.model.calendar import DAY, Calendar, Rolled, Segment, cover, covered_until
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import NO_RUNS
from aggregator.model.usage import (
    ASSOCIATION_SECONDS,
    CLUSTER_SECONDS,
    FISCAL_YEAR,
    DecayedUsage,
    Usage,
    UsageCatalog,
    UsageSums,
    is_of_jobs,
    tail_begin,
)
from aggregator.model.view import ClusterView
from aggregator.parts.accounts.usage import sum_usage
from aggregator.refresh.decayed import begin_of, read_decayed, tres_of
from aggregator.refresh.fetch import Feed
from aggregator.sources.base import EndedRuns, UsageReader

INTERVAL_SECONDS = 600.0
STALE_SECONDS = 3 * INTERVAL_SECONDS
# After a failure it is tried again sooner, twice as late each time.
RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 120.0
MOST_FAILURES = 10
# Rows are read anew after this time though nothing seems to have moved: a re-roll may have come and gone.
REREAD_SECONDS = 3600.0
_DAYS = {"1d": 1, "7d": 7, "30d": 30, "365d": 365}


@dataclass(frozen=True, slots=True)
class _Sums:
    """What was read of the windows, when, and what it depends on."""

    at: float
    rolled: Rolled
    windows: Mapping[str, float]
    until: float
    associations: pl.DataFrame
    cluster: pl.DataFrame
    decayed: DecayedUsage | None = None


class UsageWindows:
    """A source of usage over windows, read again only when an hour has been rolled up, or rolled back.

    decay is how slurmctld lets usage fade, None where that is not known.
    """

    name = "usage"

    def __init__(
        self,
        reader: UsageReader,
        ended: EndedRuns,
        fiscal_year: tuple[int, int] | None = None,
        decay: Decay | None = None,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._reader = reader
        self._ended = ended
        self._fiscal_year = fiscal_year
        self._decay = decay
        self._sums: _Sums | None = None

    async def fetch(self, at: float) -> Usage:
        """Read the windows as of epoch time `at`; tables that are not offered are no error.

        Raises FetchError.
        """
        catalog = await self._reader.catalog()
        self.features = {"usage": catalog is not None, "qos_usage": catalog is not None and catalog.qos is not None}
        if catalog is None:
            return Usage(at)
        windows = _windows(at, catalog.calendar, self._fiscal_year)
        sums = self._sums
        if sums is None or not await self._holds(sums, windows, at) or not self._counts_as_before(sums, catalog, at):
            sums = self._sums = await self._read(catalog, windows, at)
        until = min(sums.until, sums.decayed.until) if sums.decayed else sums.until
        ended = NO_RUNS if tail_begin(until, at) is None else await self._ended.ended_since(until)
        self.rows = len(sums.associations) + len(sums.cluster) + len(ended)
        return Usage(
            at, catalog, sums.rolled, sums.until, windows, sums.associations, sums.cluster, ended, sums.decayed
        )

    async def _holds(self, sums: _Sums, windows: Mapping[str, float], at: float) -> bool:
        is_young = 0 <= at - sums.at < REREAD_SECONDS and sums.windows == windows
        return is_young and await self._reader.rolled() == sums.rolled

    def _counts_as_before(self, sums: _Sums, catalog: UsageCatalog, at: float) -> bool:
        """Tell whether the same of usage counts: it was not reset, no day has faded away, no other TRES is limited."""
        return (
            self._decay is None
            or sums.decayed is None
            or (sums.decayed.since == begin_of(catalog, self._decay, at) and sums.decayed.tres == tres_of(catalog))
        )

    async def _read(self, catalog: UsageCatalog, windows: Mapping[str, float], at: float) -> _Sums:
        names = [tres for tres in catalog.tres.values() if is_of_jobs(tres)]

        def plan(rolled: Rolled) -> list[Segment]:
            return _plan(windows, at, rolled, catalog.calendar)

        rolled, found = await self._reader.totals(tuple(catalog.associations), names, plan)
        of_cluster, states = await self._reader.cluster_series(names, plan)
        associations = await executors.run(executors.REFRESH, _by_window, found, windows, ASSOCIATION_SECONDS)
        rows = [("", tres, state, of, begin) for (tres, begin, state), of in states.items() if of_cluster == rolled]
        seconds = pl.DataFrame(rows, schema={**CLUSTER_SECONDS, "begin": pl.Float64}, orient="row")
        cluster = _by_window(seconds, windows, CLUSTER_SECONDS)
        until = covered_until(plan(rolled), min(windows.values()))
        decayed = await read_decayed(self._reader, catalog, self._decay, at) if self._decay else None
        return _Sums(at, rolled, windows, until, associations, cluster, decayed)


def _windows(at: float, calendar: Calendar, fiscal_year: tuple[int, int] | None) -> dict[str, float]:
    """Give where each window begins: with an hour, for no row is finer."""
    windows = {name: calendar.floor(at - days * DAY, "hour") for name, days in _DAYS.items()}
    if fiscal_year:
        windows[FISCAL_YEAR] = calendar.fiscal_year(at, *fiscal_year)
    return windows


def _plan(windows: Mapping[str, float], at: float, rolled: Rolled, calendar: Calendar) -> list[Segment]:
    """Cover the time since the first window begins, with a cut where any window begins."""
    cuts = [*sorted(set(windows.values())), at]
    segments: list[Segment] = []
    for begin, end in pairwise(cuts):
        found = cover(begin, end, rolled, calendar, "month")
        segments += found
        if covered_until(found, begin) < end:
            break
    return segments


def _by_window(found: pl.DataFrame, windows: Mapping[str, float], form: pl.Schema) -> pl.DataFrame:
    """Add up what begins in each window, in the columns of `form`."""
    by = [name for name in form if name not in ("window", "seconds")]
    sums = [
        found.filter(pl.col("begin") >= start).group_by(by).agg(pl.col("seconds").sum(), window=pl.lit(name))
        for name, start in windows.items()
    ]
    columns = [pl.col(name).cast(dtype) for name, dtype in form.items()]
    return pl.concat([pl.DataFrame(schema=form), *(each.select(columns) for each in sums)])


class UsageRefresher:
    """Keep one cluster's usage current, on a slow timer of its own."""

    def __init__(self, cluster: str, feed: Feed[Usage], view: Callable[[], ClusterView | None]) -> None:
        self.name = f"usage of cluster {cluster}"
        self._feed = feed
        self._cluster = view
        self._due = 0.0
        self._failures = 0
        self._read: Usage | None = None
        self._is_new = False
        self._sums: UsageSums | None = None

    def take_over(self, before: "UsageRefresher") -> None:
        """Show what another refresher of the same cluster has added up, until this one has read."""
        self._read, self._is_new, self._sums = before._read, before._is_new, before._sums

    async def fetch(self, at: float) -> UsageSums | None:
        """Give what a snapshot shows."""
        return self._sums

    async def refresh(self, at: float) -> None:
        """Read when it is time, and add up when the open runs are known, which may be later at the start."""
        if at >= self._due or self._due - at > INTERVAL_SECONDS:
            self._due = at + INTERVAL_SECONDS
            before, self._read = self._read, await self._feed.fetch(at)
            # Old rows are not added up with runs of now: what has ended between may not be known any more.
            self._is_new = self._is_new or self._read is not before
            if self._read is before or self._read is None:
                self._retry(at)
            if self._read is None:
                self._sums = None
        view = self._cluster()
        if self._is_new and self._read is not None and view is not None:
            runs = view.runs
            self._sums = await executors.run(executors.REFRESH, sum_usage, self._read, runs)
            self._is_new, self._failures = False, 0

    async def withdraw(self, at: float) -> None:
        """Show no usage, until the next time."""
        self._read = self._sums = None
        self._retry(at)

    def _retry(self, at: float) -> None:
        """Try again soon: one failure must not cost the usage of an interval."""
        self._due = at + min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, MOST_FAILURES)
