"""Runs that are not in the snapshot any more: read by id, cached for a moment, one read at a time per id."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from cachetools import TTLCache

from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId

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


class JobQueries:
    """Find runs by job id in slurmacct."""

    def __init__(self, readers: Mapping[str, RunReader]) -> None:
        self._readers = readers
        self._cache: TTLCache[tuple[str, JobId], tuple[Run, ...]] = TTLCache(CACHE_ENTRIES, CACHE_SECONDS)
        self._under_way: dict[tuple[str, JobId], asyncio.Task[tuple[Run, ...]]] = {}

    async def runs_of(self, cluster: str, asked: JobId) -> tuple[Run, ...]:
        """Give every run that the id means, oldest first; simultaneous calls share one read.

        Raises FetchError, which is not cached.
        """
        key = (cluster, asked)
        if key in self._cache:
            return self._cache[key]
        if key not in self._under_way:
            task = asyncio.create_task(self._readers[cluster].runs_of(asked))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: one impatient client must not cancel the read that others wait for.
        runs = await asyncio.shield(self._under_way[key])
        self._cache[key] = runs
        return runs
