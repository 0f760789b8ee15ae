"""Usage history on demand: slurmdbd's roll-ups, and the jobs' rows for what is not rolled up yet."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl
from cachetools import TTLCache

from aggregator import executors
from aggregator.model.calendar import Resolution, Rolled, Segment, cover, covered_until
from aggregator.model.job_inputs import Runs
from aggregator.model.run_usage import with_ended
from aggregator.model.usage import CLUSTER_STATES, UsageCatalog, tail_begin
from aggregator.queries.cache import CachedReads
from aggregator.queries.usage_points import Point, points_of, tail_of
from aggregator.sources.base import EndedRuns, FetchError, UsageReader

CACHE_SECONDS = 60.0
# Answers may be large: those of a year by the hour have thousands of rows.
CACHE_ENTRIES = 200

_Series = tuple[Rolled, Mapping[tuple[str, float], float]]
_ClusterSeries = tuple[Rolled, Mapping[tuple[str, float, str], float]]


class NoUsage(Exception):
    """The cluster's roll-up tables are not there, or not granted; the text says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSpan:
    """What is asked for: TRES by name, [begin, end) of whole periods in epoch seconds, and what time it is."""

    tres: tuple[str, ...]
    begin: float
    end: float
    resolution: Resolution
    now: float

    @property
    def known_end(self) -> float:
        """Give until when there can be anything."""
        return min(self.end, self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Whose usage: users under accounts, and of these QOS only (ids), or of all."""

    of: frozenset[tuple[str, str]]
    qos: Mapping[int, str] = field(default_factory=dict)

    def own(self, runs: Runs) -> Runs:
        """Give the runs that are theirs."""
        pairs = pl.DataFrame(list(self.of), schema={"user": pl.String, "account": pl.String}, orient="row")
        found = runs.runs.join(pairs, on=["user", "account"], how="semi")
        return replace(runs, runs=found.filter(pl.col("qos").is_in(list(self.qos.values()))) if self.qos else found)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """TRES → points. Final rows cease at `until`; where that is before the end, partial_from is the same.

    has_tail tells that jobs' rows stand in from there on.
    """

    points: Mapping[str, Sequence[Point]]
    rolled: Rolled
    until: float
    partial_from: float | None = None
    has_tail: bool = False
    warnings: tuple[str, ...] = ()


class UsageQueries:
    """Read usage by period, cached for a moment; the same question at the same time is one read."""

    def __init__(self, readers: Mapping[str, UsageReader], runs: Mapping[str, EndedRuns]) -> None:
        self._readers = readers
        self._runs = runs
        self._series = CachedReads[Hashable, _Series](TTLCache(CACHE_ENTRIES, CACHE_SECONDS))
        self._cluster = CachedReads[Hashable, _ClusterSeries](TTLCache(CACHE_ENTRIES, CACHE_SECONDS))
        self._ended = CachedReads[Hashable, Runs](TTLCache(CACHE_ENTRIES, CACHE_SECONDS))

    async def catalog(self, cluster: str) -> UsageCatalog:
        """Give what the cluster's usage refers to.

        Raises NoUsage, FetchError.
        """
        reader = self._readers.get(cluster)
        catalog = await reader.catalog() if reader else None
        if catalog is None:
            raise NoUsage(f'cluster "{cluster}": slurmdbd\'s usage tables are not there, or not granted')
        return catalog

    async def of(self, cluster: str, owners: Owners, span: UsageSpan, live: Runs) -> History:
        """Give the usage of some users under some accounts; `live` are the snapshot's runs.

        Raises NoUsage, FetchError.
        """
        catalog = await self.catalog(cluster)
        ids = tuple(sorted(key for key, names in catalog.associations.items() if names in owners.of))
        key = cluster, ids, tuple(owners.qos), span.tres, span.begin, span.end, span.resolution

        def plan(rolled: Rolled) -> list[Segment]:
            return cover(span.begin, span.end, rolled, catalog.calendar, span.resolution)

        rolled, rows = await self._series.get(
            key, lambda: self._readers[cluster].series(ids, span.tres, plan, tuple(owners.qos))
        )
        until = covered_until(plan(rolled), span.begin)
        tail, warnings = None, []
        if until < span.known_end:
            try:
                tail = await self._tail(cluster, owners, span, until, live, catalog)
            except FetchError as error:
                warnings.append(f"what is not rolled up yet is missing: {error}")
        starts = list(catalog.calendar.periods(span.begin, span.known_end, span.resolution))
        found = await executors.run(
            executors.ANSWERS,
            lambda: {tres: points_of(tres, rows, until, starts, span.resolution, catalog, tail) for tres in span.tres},
        )
        partial = until if until < span.known_end else None
        return History(
            points=found, rolled=rolled, until=until, partial_from=partial, has_tail=tail is not None,
            warnings=tuple(warnings),
        )  # fmt: skip

    async def of_cluster(
        self, cluster: str, span: UsageSpan
    ) -> tuple[History, Mapping[str, Mapping[str, Sequence[Point]]]]:
        """Give how the cluster's capacity was spent, TRES → state → points; nothing stands in for missing roll-ups.

        Raises NoUsage, FetchError.
        """
        catalog = await self.catalog(cluster)

        def plan(rolled: Rolled) -> list[Segment]:
            return cover(span.begin, span.end, rolled, catalog.calendar, span.resolution)

        key = cluster, span.tres, span.begin, span.end, span.resolution
        rolled, rows = await self._cluster.get(key, lambda: self._readers[cluster].cluster_series(span.tres, plan))
        until = covered_until(plan(rolled), span.begin)
        starts = list(catalog.calendar.periods(span.begin, until, span.resolution))
        found = await executors.run(executors.ANSWERS, _by_state, rows, until, starts, span, catalog)
        partial = until if until < span.known_end else None
        return History(points={}, rolled=rolled, until=until, partial_from=partial), found

    async def _tail(
        self, cluster: str, owners: Owners, span: UsageSpan, until: float, live: Runs, catalog: UsageCatalog
    ) -> Mapping[tuple[str, float], float] | None:
        """Add up what jobs have used since the last roll-up; None when it is so far back that it cannot be told."""
        if tail_begin(until, span.known_end) is None:
            return None
        ended = await self._ended.get((cluster, until), lambda: self._runs[cluster].ended_since(until))

        def add_up() -> Mapping[tuple[str, float], float]:
            # What has ended since the snapshot is in both; its end is the newer fact.
            own = owners.own(with_ended(live, ended))
            return tail_of(own, until, span.known_end, span.resolution, catalog.calendar)

        return await executors.run(executors.ANSWERS, add_up)


def _by_state(
    rows: Mapping[tuple[str, float, str], float],
    until: float,
    starts: Sequence[float],
    span: UsageSpan,
    catalog: UsageCatalog,
) -> dict[str, dict[str, Sequence[Point]]]:
    found: dict[str, dict[str, Sequence[Point]]] = {tres: {} for tres in span.tres}
    for state in CLUSTER_STATES:
        of_state = {(tres, start): seconds for (tres, start, of), seconds in rows.items() if of == state}
        for tres in span.tres:
            found[tres][state] = points_of(tres, of_state, until, starts, span.resolution, catalog, None)
    return found
