"""What Lustre's servers show, and whose uids those are: read beside a refresh, never by a scrape."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Final, Protocol

import polars as pl

from aggregator import executors
from aggregator.engine.part import Inputs
from aggregator.model.job_inputs import Runs
from aggregator.model.lustre import UID_NAMES, LustreUse, UidNames
from aggregator.refresh.fetch import Feed
from aggregator.sources.base import FetchError

_log = logging.getLogger(__name__)
_ROOT: Final = 0
# How many unknown uids are asked for in one refresh, for how long, and when those without a name are asked for again.
UIDS_AT_ONCE: Final = 100
NAMES_TIMEOUT: Final = 5.0
AGAIN_SECONDS: Final = 3600.0


class UserNames(Protocol):
    """What knows the names of uids."""

    async def names(self, uids: Collection[int]) -> Mapping[int, str]:
        """Name those that are known.

        Raises FetchError.
        """
        ...


class LustreRefresher:
    """Fetch what the servers show, and keep the names of uids between refreshes."""

    def __init__(self, feed: Feed[LustreUse], users: UserNames | None = None) -> None:
        self._feed = feed
        self._users = users
        self._use: LustreUse | None = None
        self._names: dict[int, str] = {}
        self._asked: dict[int, float] = {}

    def take_over(self, before: "LustreRefresher") -> None:
        """Go on with the names that were found before."""
        self._names = before._names

    async def fetch(self, at: float) -> LustreUse | None:
        """Fetch the rates, at most as often as the servers are scraped; None when they are not known."""
        # The dearest queries of a refresh, of series that change every 90 s.
        if self._use is None or not 0 <= at - self._use.time < self._use.interval:
            self._use = await self._feed.fetch(at)
        return self._use

    async def learn(self, inputs: Inputs, at: float) -> UidNames:
        """Find names for the uids that have none yet: from the runs at hand, else a few at a time from all runs."""
        use, runs = inputs.get(LustreUse), inputs.get(Runs)
        if use is not None and runs is not None:
            asked = await executors.run(executors.REFRESH, self._strangers, use, runs, at)
            if asked and self._users is not None:
                self._names.update(await self._ask(self._users, asked))
                self._asked.update(dict.fromkeys(asked, at))
        return UidNames(pl.DataFrame(list(self._names.items()), schema=UID_NAMES, orient="row"))

    def _strangers(self, use: LustreUse, runs: Runs, at: float) -> tuple[int, ...]:
        """Learn the names that the runs tell, and choose some of the uids that have none."""
        told = runs.runs.select("uid", "user").drop_nulls("uid").unique("uid", keep="last")
        self._names.update(told.iter_rows())
        shown = (rates["uid"].drop_nulls().unique() for rates in use.rates.values())
        unnamed = set().union(*shown) - self._names.keys() - {_ROOT}
        due = (uid for uid in sorted(unnamed) if at - self._asked.get(uid, -AGAIN_SECONDS) >= AGAIN_SECONDS)
        return tuple(islice(due, UIDS_AT_ONCE))

    async def _ask(self, users: UserNames, uids: Collection[int]) -> Mapping[int, str]:
        try:
            async with asyncio.timeout(NAMES_TIMEOUT):
                return await users.names(uids)
        except (FetchError, TimeoutError) as error:
            _log.warning("names of uids are not known: uids=%s error=%r", len(uids), error)
            return {}
