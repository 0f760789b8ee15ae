"""What every source promises: one fetch at a given time, or FetchError."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class FetchError(Exception):
    """A source could not be read; the text names the thing to fix and is shown to the administrator."""


class Source(Protocol[T_co]):
    """One system that is read. A source keeps what it needs between fetches and is fetched by one task at a time."""

    @property
    def name(self) -> str:
        """The source's name in `hpc_aggregator_source_up{source}`."""
        ...

    @property
    def rows(self) -> int:
        """Rows or samples of the last fetch."""
        ...

    @property
    def features(self) -> Mapping[str, bool]:
        """What the system offers, as far as the last fetch found out."""
        ...

    async def fetch(self, at: float) -> T_co:
        """Read everything as of epoch time `at`.

        Raises FetchError.
        """
        ...


# Opens a source without connecting: it validates now, connects at the first fetch, and closes on exit.
Opener = Callable[[], AbstractAsyncContextManager[Source[T_co]]]
