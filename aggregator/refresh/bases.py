"""What the counters of resized jobs showed when their runs began: read once for each run, resizes are rare."""

from typing import Final, Protocol

import polars as pl

from aggregator import executors
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import BASES, Bases, Runs
from aggregator.sources.base import FetchError

# Runs that are asked for at one refresh, and when one is asked for again of which there is no sample yet.
MOST_AT_ONCE: Final = 5
RETRY_SECONDS: Final = 60.0
_SETTLED_INTERVALS: Final = 2


class BaseReader(Protocol):
    """Where the first samples of a job after a time are read."""

    @property
    def interval(self) -> float:
        """Give the seconds between two scrapes."""
        ...

    async def base_of(self, job_id: int, since: float) -> pl.DataFrame:
        """Read them: a row for each node, in the columns of BASES but for the run.

        Raises FetchError.
        """
        ...


class KnownBases:
    """The bases of one cluster's open runs, by run id; one that cannot be read is not there."""

    def __init__(self, reader: BaseReader | None) -> None:
        self._reader = reader
        self._known: dict[int, pl.DataFrame] = {}
        self._retry_at: dict[int, float] = {}

    def take_over(self, before: "KnownBases") -> None:
        """Go on from what was read before."""
        self._known = before._known

    async def of(self, runs: Runs, at: float) -> Bases:
        """Give those that are known at `at`, having asked for a few more."""
        resized = await executors.run(executors.REFRESH, _resized, runs)
        self._known = {run_id: base for run_id, base in self._known.items() if run_id in resized}
        self._retry_at = {run_id: time for run_id, time in self._retry_at.items() if run_id in resized}
        if self._reader is not None:
            due = [run for run in resized.values() if self._is_due(run, self._reader.interval, at)]
            for run in due[:MOST_AT_ONCE]:
                await self._ask(self._reader, run, at)
        return Bases(pl.concat([pl.DataFrame(schema=BASES), *self._known.values()]))

    def _is_due(self, run: Run, interval: float, at: float) -> bool:
        if run.run_id in self._known or at < self._retry_at.get(run.run_id, 0.0):
            return False
        return run.start is not None and at >= run.start + _SETTLED_INTERVALS * interval

    async def _ask(self, reader: BaseReader, run: Run, at: float) -> None:
        try:
            base = await reader.base_of(run.job_id, run.start or at)
        except FetchError:
            # The fetch of the use itself says what is wrong with Prometheus.
            base = pl.DataFrame()
        if base.is_empty():
            self._retry_at[run.run_id] = at + RETRY_SECONDS
        else:
            of_run = base.with_columns(pl.lit(run.run_id, dtype=pl.UInt64).alias("run_id"))
            self._known[run.run_id] = of_run.select(BASES.names())


def _resized(runs: Runs) -> dict[int, Run]:
    """Give the runs that a resize has made and that are on their nodes, by run id."""
    rows = runs.runs.filter(pl.col("job_start").is_not_null() & pl.col("end").is_null())
    return {run.run_id: run for run in Runs(rows, runs.cluster) if run.holds_resources}
