"""Runs that are not in the snapshot any more: read by id, cached for a moment, one read at a time per id."""

from collections.abc import Collection, Mapping
from typing import Protocol

import polars as pl
from cachetools import TTLCache

from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId
from aggregator.model.ledger import LedgerTotals
from aggregator.queries.cache import CachedReads

# A finished run hardly changes; a live one comes from the snapshot.
CACHE_SECONDS = 15.0
CACHE_ENTRIES = 10_000


class RunReader(Protocol):
    """A source that can read the runs of one job id."""

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        """Read every run that the id means, oldest first, bounded.

        Raises FetchError.
        """
        ...


class SummaryReader(Protocol):
    """Where the use of ended runs is kept."""

    async def summaries(self, cluster: str, run_ids: Collection[int]) -> pl.DataFrame:
        """Give what is kept of these runs (KEPT).

        Raises StateError.
        """
        ...


class LedgerReader(Protocol):
    """Where the ledger's totals of runs are kept."""

    async def runs(self, cluster: str, run_ids: Collection[int]) -> LedgerTotals:
        """Give the totals of these runs, and of nobody else.

        Raises StateError.
        """
        ...


class JobQueries:
    """Find runs by job id in slurmacct, and what they used in the state."""

    def __init__(self, readers: Mapping[str, RunReader], summaries: SummaryReader, ledger: LedgerReader) -> None:
        self._readers = readers
        self._summaries = summaries
        self._ledger = ledger
        self._reads = CachedReads[tuple[str, JobId], tuple[Run, ...]](TTLCache(CACHE_ENTRIES, CACHE_SECONDS))

    async def runs_of(self, cluster: str, asked: JobId) -> tuple[Run, ...]:
        """Give every run that the id means, oldest first; simultaneous calls share one read.

        Raises FetchError, which is not cached.
        """
        return await self._reads.get((cluster, asked), lambda: self._readers[cluster].runs_of(asked))

    async def summaries(self, cluster: str, runs: pl.DataFrame) -> pl.DataFrame:
        """Give the last use and efficiency of those ended runs (RUNS) of which they were kept (KEPT).

        Raises StateError.
        """
        return await self._summaries.summaries(cluster, _ended(runs))

    async def ledger(self, cluster: str, runs: pl.DataFrame) -> LedgerTotals:
        """Give what the ledger has added up of the ended ones of these runs (RUNS).

        Raises StateError.
        """
        return await self._ledger.runs(cluster, _ended(runs))


def _ended(runs: pl.DataFrame) -> Collection[int]:
    return runs.filter(pl.col("end").is_not_null())["run_id"].to_list()
