"""What every source promises: one fetch at a given time, or FetchError."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import polars as pl

from aggregator.model.calendar import Rolled, Segment
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import Runs
from aggregator.model.usage import UsageCatalog

T_co = TypeVar("T_co", covariant=True)


class FetchError(Exception):
    """A source could not be read; the text names the thing to fix and is shown to the administrator."""


class NoSamples(FetchError):
    """A source answers and has nothing of what there must be: `inputs` are empty, which is not believed."""

    def __init__(self, text: str, inputs: Collection[str]) -> None:
        super().__init__(text)
        self.inputs = tuple(inputs)


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


@runtime_checkable
class Remote(Protocol):
    """A source that logs in to a database."""

    @property
    def session(self) -> str:
        """Say whether its connection is encrypted, and how many the service needs, "" before there was one."""
        ...


class EndedRuns(Protocol):
    """Where the runs that have ended since a time are read."""

    async def ended_since(self, since: float) -> Runs:
        """Read the runs that ended at or after epoch time `since`, in no order.

        Raises FetchError.
        """
        ...


# Until when what is final → what to read from which table.
Plan = Callable[[Rolled], Sequence[Segment]]


class UsageReader(Protocol):
    """What slurmdbd has rolled up of one cluster. Each reading sees one moment, with until when its rows are final."""

    async def catalog(self) -> UsageCatalog | None:
        """Give what the rows refer to, not older than some minutes; None where the tables are not there or not granted.

        Raises FetchError.
        """
        ...

    async def rolled(self) -> Rolled:
        """Read until when what is final.

        Raises FetchError.
        """
        ...

    async def series(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, qos: Collection[int] = ()
    ) -> tuple[Rolled, Mapping[tuple[str, float], float]]:
        """Sum up associations: (TRES, start of the row's period) → TRES × seconds; of these QOS, or of all.

        Raises FetchError.
        """
        ...

    async def totals(self, ids: Sequence[int], tres: Collection[str], plan: Plan) -> tuple[Rolled, pl.DataFrame]:
        """Sum up each segment of the plan (SEGMENT_SECONDS).

        Raises FetchError.
        """
        ...

    async def decayed(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, decay: Decay, at: float
    ) -> tuple[Rolled, pl.DataFrame]:
        """Sum up what is left at `at` (LEFT_SECONDS), each row's spread evenly over its period.

        Raises FetchError.
        """
        ...

    async def cluster_series(
        self, tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[str, float, str], float]]:
        """Read the whole cluster: (TRES, start of the row's period, state) → TRES × seconds.

        Raises FetchError.
        """
        ...
