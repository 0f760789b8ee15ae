"""Pages of finished runs: bounded in rows, cached for a moment, few reads at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl
from cachetools import TTLCache

from aggregator import executors
from aggregator.model.history import Chunk, RunKey, Search
from aggregator.model.job_inputs import RUNS, runs_of
from aggregator.queries.cache import CachedReads
from aggregator.queries.jobs import CACHE_SECONDS

# Rows that one request may examine: then the page ends, full or not, and the next one goes on from there.
PAGE_ROWS: Final = 10_000
SUMMARY_ROWS: Final = 50_000
# The pool's other connections are for the refresh.
READS_AT_ONCE: Final = 2
_CHUNKS_KEPT: Final = 32
_UIDS_KEPT: Final = 10_000
_UIDS_SECONDS: Final = 300.0
_Names = tuple[str, frozenset[str], frozenset[str]]


class HistoryReader(Protocol):
    """A source of ended runs."""

    async def uids(self, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        """Find whose runs these are, by uid; None when it is better not to search by user.

        Raises FetchError.
        """
        ...

    async def ended(self, search: Search, after: RunKey | None) -> Chunk:
        """Read the next chunk of ended runs, bounded.

        Raises FetchError.
        """
        ...


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Runs in order (RUNS), the key after which to go on (None: that is all), and how many rows were examined.

    cut says that a read by id or array was longer than its bound.
    """

    runs: pl.DataFrame
    last: RunKey | None
    examined: int
    cut: bool = False


class HistoryQueries:
    """Search ended runs."""

    def __init__(self, readers: Mapping[str, HistoryReader]) -> None:
        self._readers = readers
        gate = asyncio.Semaphore(READS_AT_ONCE)
        self._chunks = CachedReads[tuple[str, Search, RunKey | None], Chunk](
            TTLCache(_CHUNKS_KEPT, CACHE_SECONDS), gate
        )
        self._uids = CachedReads[_Names, frozenset[int] | None](TTLCache(_UIDS_KEPT, _UIDS_SECONDS), gate)

    def offers(self, cluster: str) -> bool:
        """Tell whether there is a source of this cluster's ended runs."""
        return cluster in self._readers

    async def uids(self, cluster: str, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        """Find the uids to search by; None: everybody's runs have to be looked at.

        Raises FetchError.
        """
        if not users and not accounts:
            return None
        # A user without any run yet may have one in a moment.
        return await self._uids.get(
            (cluster, users, accounts),
            lambda: self._readers[cluster].uids(users, accounts),
            keep=lambda uids: uids != frozenset(),
        )

    async def page(
        self,
        cluster: str,
        search: Search,
        wanted: pl.Expr,
        after: RunKey | None,
        limit: int,
        rows: int = PAGE_ROWS,
    ) -> HistoryPage:
        """Give at most `limit` wanted runs after a key, newest end first, having examined `rows` rows or a chunk more.

        wanted is over the columns of RUNS. Raises FetchError.
        """
        pages, keys = [pl.DataFrame(schema=RUNS)], list[RunKey]()
        examined, cut = 0, False
        while True:
            chunk = await self._chunk(cluster, search, after)
            examined, cut = examined + chunk.examined, cut or chunk.cut
            found, keys_found = await executors.run(executors.ANSWERS, _choose, chunk, wanted)
            pages.append(found)
            keys += keys_found
            if len(keys) > limit:
                after = keys[limit - 1]
                break
            after = chunk.last
            if after is None or examined >= rows:
                break
        return HistoryPage(pl.concat(pages).head(limit), after, examined, cut)

    async def _chunk(self, cluster: str, search: Search, after: RunKey | None) -> Chunk:
        return await self._chunks.get((cluster, search, after), lambda: self._readers[cluster].ended(search, after))


def _choose(chunk: Chunk, wanted: pl.Expr) -> tuple[pl.DataFrame, list[RunKey]]:
    """Give the wanted runs of a chunk, and their keys."""
    runs = runs_of([run for _, run in chunk.runs]).runs.with_row_index("place").filter(wanted)
    return runs.drop("place"), [chunk.runs[place][0] for place in runs["place"]]
