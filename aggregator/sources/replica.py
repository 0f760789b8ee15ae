"""Reads that a replica takes off the primary: what it cannot answer, the primary does, and it is said."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Read, Reads, Row, TooSlowError


class ReplicaLostError(FetchError):
    """The replica failed in the middle of a snapshot; the next one is the primary's."""


class ReplicaState:
    """Whether a replica is to be read: shared by those who read from it and by who measures it.

    A failure holds until the replica is measured again, so that not every reader waits for it.
    """

    def __init__(self, max_lag: float) -> None:
        self._max_lag = max_lag
        self._error = "it has not been measured yet"
        self._lag: float | None = None

    @property
    def is_usable(self) -> bool:
        """Tell whether reads may go there."""
        return not self._error

    def measured(self, lag: float | None) -> None:
        """Take over that it answers, this many seconds behind (None: unknown)."""
        self._error, self._lag = "", lag

    def failed(self, error: FetchError) -> None:
        """Leave it alone until it is measured again."""
        self._error = str(error)

    def notes(self) -> list[str]:
        """Say what an answer must tell of where it was read: nothing while the replica is as good as the primary."""
        if self._error:
            return [f"history is read from the primary, not from its replica: {self._error}"]
        if self._lag is None:
            return ["history is read from a replica, and the primary cannot tell how far it is behind"]
        if self._lag > self._max_lag:
            return [f"history is read from a replica that is {self._lag:.0f} s behind: what came later is missing"]
        return []


class ReplicaReads:
    """Read from the replica, else from the primary."""

    def __init__(self, state: ReplicaState, replica: Reads, primary: Reads) -> None:
        self._state = state
        self._replica = replica
        self._primary = primary

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one SELECT and give all its rows.

        Raises FetchError: the primary's, and TooSlowError of a statement that would not be faster there.
        """
        if self._state.is_usable:
            try:
                return await self._replica.rows(sql, parameters)
            except TooSlowError:
                raise
            except FetchError as error:
                self._state.failed(error)
        return await self._primary.rows(sql, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Read]:
        """Give what reads the same moment every time, of one of the two.

        Raises FetchError: ReplicaLostError when it is worth to begin again.
        """
        if not self._state.is_usable:
            async with self._primary.snapshot() as read:
                yield read
            return
        try:
            async with self._replica.snapshot() as read:
                yield read
        except TooSlowError:
            raise
        except FetchError as error:
            self._state.failed(error)
            raise ReplicaLostError(str(error)) from error
