"""What Lustre's servers show, and whose uids those are: read beside a refresh, never by a scrape."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Final, Protocol

from aggregator.join.lustre import join_lustre, names_of, unnamed
from aggregator.model.accounting import Accounting
from aggregator.model.lustre import LustreUse, LustreView
from aggregator.refresh.fetch import Feed
from aggregator.sources.base import FetchError

_log = logging.getLogger(__name__)
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
    """Keep the names of uids between refreshes, and attribute what is fetched."""

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

    async def learn(self, use: LustreUse | None, accounting: Accounting | None, at: float) -> None:
        """Find names for the uids that have none yet: from the runs at hand, else a few at a time from all runs."""
        if use is None or accounting is None:
            return
        self._names.update(names_of(accounting.runs))
        strangers = (
            uid
            for uid in sorted(unnamed(use, self._names))
            if at - self._asked.get(uid, -AGAIN_SECONDS) >= AGAIN_SECONDS
        )
        asked = tuple(islice(strangers, UIDS_AT_ONCE))
        if asked and self._users is not None:
            self._names.update(await self._ask(self._users, asked))
            self._asked.update(dict.fromkeys(asked, at))

    def view(self, use: LustreUse | None, accounting: Accounting | None) -> LustreView | None:
        """Attribute the rates; without slurmacct nothing can be said of whose they are."""
        return join_lustre(use, accounting.runs, self._names) if use and accounting else None

    async def _ask(self, users: UserNames, uids: Collection[int]) -> Mapping[int, str]:
        try:
            async with asyncio.timeout(NAMES_TIMEOUT):
                return await users.names(uids)
        except (FetchError, TimeoutError) as error:
            _log.warning("names of uids are not known: uids=%s error=%r", len(uids), error)
            return {}
