"""How many alerts people were told of, as the state has it."""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from aggregator.model.alert import AlertCounts
from aggregator.state import StateError

# A state that hangs must not hold up the snapshot; the first one of a process waits for the state to be opened.
READ_SECONDS: Final = 1.0
FIRST_SECONDS: Final = 5.0


class AlertCounter(Protocol):
    """Where alerts are counted."""

    async def counts(self, cluster: str, known: AlertCounts | None) -> AlertCounts:
        """Give a cluster's counts: those that are known where they have not changed.

        Raises StateError.
        """
        ...


class AlertFeed:
    """The counts of one cluster. While the state fails, which its own source says, the last ones are given: counters
    must not vanish.
    """

    def __init__(self, cluster: str, counter: AlertCounter) -> None:
        self._cluster = cluster
        self._counter = counter
        self._known: AlertCounts | None = None

    async def fetch(self, at: float) -> AlertCounts | None:
        """Give what is known; None when nothing is."""
        with suppress(StateError, TimeoutError):
            async with asyncio.timeout(READ_SECONDS if self._known else FIRST_SECONDS):
                self._known = await self._counter.counts(self._cluster, self._known)
        return self._known
