"""Pages of finished runs: bounded in rows, cached for a moment, few reads at once."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl
from cachetools import TTLCache

from aggregator import executors
from aggregator.model.accounting import Run
from aggregator.model.history import Chunk, OfName, RunKey, Search
from aggregator.model.job_inputs import RUNS, runs_of
from aggregator.queries.cache import CachedReads
from aggregator.queries.jobs import CACHE_SECONDS

# Rows that one request may examine: then the page ends, full or not, and the next one goes on from there.
PAGE_ROWS: Final = 10_000
WHOLE_ROWS: Final = 50_000
# The pool's other connections are for the refresh.
READS_AT_ONCE: Final = 2
_CHUNKS_KEPT: Final = 32
_UIDS_KEPT: Final = 10_000
_UIDS_SECONDS: Final = 300.0
_NAMES_KEPT: Final = 64
_NAMES_BACK_SECONDS: Final = 30 * 86_400
# Of runs (RUNS), the numbers of those that are wanted, in order.
Choose = Callable[[pl.DataFrame], pl.Series]
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

    async def of_name(self, asked: OfName) -> tuple[Run, ...]:
        """Read the newest runs of one user and one name, the newest end first, bounded.

        Raises FetchError.
        """
        ...


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Runs in order (RUNS), the key after which to go on (None: that is all), and how many rows were examined.

    seen counts those that may be seen. cut says that a read by id or array was longer than its bound.
    """

    runs: pl.DataFrame
    last: RunKey | None
    examined: int
    cut: bool = False
    seen: int = 0


class HistoryQueries:
    """Search ended runs."""

    def __init__(self, readers: Mapping[str, HistoryReader]) -> None:
        self._readers = readers
        gate = asyncio.Semaphore(READS_AT_ONCE)
        # For who makes something of a whole time: its rows, and what is joined with them, take much memory.
        self.of_whole_times = asyncio.Semaphore(READS_AT_ONCE)
        self._chunks = CachedReads[tuple[str, Search, RunKey | None], Chunk](
            TTLCache(_CHUNKS_KEPT, CACHE_SECONDS), gate
        )
        self._of_names = CachedReads[tuple[str, OfName], tuple[Run, ...]](TTLCache(_NAMES_KEPT, CACHE_SECONDS), gate)
        self._uids = CachedReads[_Names, frozenset[int] | None](TTLCache(_UIDS_KEPT, _UIDS_SECONDS), gate)

    def has_source(self, cluster: str) -> bool:
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

    async def of_name(self, cluster: str, uid: int, name: str, now: float) -> tuple[Run, ...]:
        """Give the last runs of a user with this name that have ended, the newest first; at most 30 days back.

        Raises FetchError.
        """
        # Whoever asks within the same minute asks for the same.
        until = (math.floor(now / 60) + 1) * 60
        asked = OfName(uid=uid, name=name, since=until - _NAMES_BACK_SECONDS, until=until)
        return await self._of_names.get((cluster, asked), lambda: self._readers[cluster].of_name(asked))

    async def page(
        self,
        cluster: str,
        search: Search,
        sees: pl.Expr,
        after: RunKey | None,
        limit: int,
        rows: int = PAGE_ROWS,
        choose: Choose | None = None,
    ) -> HistoryPage:
        """Give at most `limit` runs after a key, newest end first, having examined `rows` rows or a chunk more.

        sees is over the columns of RUNS; choose says which of those are wanted. Raises FetchError, and what `choose`
        raises.
        """
        pages, keys = [pl.DataFrame(schema=RUNS)], list[RunKey]()
        examined, seen, cut = 0, 0, False
        while True:
            chunk = await self._chunk(cluster, search, after)
            found, keys_found, seen_of_chunk = await executors.run(executors.ANSWERS, _found, chunk, sees, choose)
            pages.append(found)
            keys += keys_found
            examined, seen = examined + chunk.examined, seen + seen_of_chunk
            # Nobody is told how much there is of what may not be seen.
            cut = cut or (chunk.cut and seen_of_chunk > 0)
            if len(keys) > limit:
                after = keys[limit - 1]
                break
            after = chunk.last
            if after is None or examined >= rows:
                break
        return HistoryPage(pl.concat(pages).head(limit), after, examined, cut, seen)

    async def _chunk(self, cluster: str, search: Search, after: RunKey | None) -> Chunk:
        return await self._chunks.get((cluster, search, after), lambda: self._readers[cluster].ended(search, after))


def _found(chunk: Chunk, sees: pl.Expr, choose: Choose | None) -> tuple[pl.DataFrame, list[RunKey], int]:
    """Give the wanted runs of a chunk, their keys, and how many may be seen."""
    seen = runs_of([run for _, run in chunk.runs]).runs.with_row_index("place").filter(sees)
    runs = seen if choose is None else seen[choose(seen.drop("place"))]
    return runs.drop("place"), [chunk.runs[place][0] for place in runs["place"]], seen.height
