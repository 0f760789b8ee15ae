"""Keep what ended runs used: written once per run to the state, where the API finds it long after."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from aggregator import executors
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.parts.jobs.kept import to_keep
from aggregator.refresh.streak import Streak
from aggregator.state import StateError

_log = logging.getLogger(__name__)
PRUNE_SECONDS = 3600.0
# A state that hangs must not hold up the next refresh.
SAVE_SECONDS = 5.0


class SummaryStore(Protocol):
    """Where summaries are kept; begun counts how often it was found empty."""

    @property
    def begun(self) -> int:
        """Count how often it was found empty, so that all must be kept anew."""
        ...

    async def check(self) -> None:
        """See that it answers.

        Raises StateError.
        """
        ...

    async def save_summaries(self, cluster: str, ended: pl.DataFrame) -> None:
        """Keep the last use and efficiency of ended runs: KEPT, and whose and when they were.

        Raises StateError.
        """
        ...

    async def prune(self, before: float, scripts_before: float, alerts_before: float) -> int:
        """Delete the summaries of runs that ended, the scripts that came and the alerts last told before then.

        Raises StateError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept in the state, in seconds."""

    summaries: float = 5 * 365 * 86_400.0
    scripts: float = 365 * 86_400.0
    alerts: float = 365 * 86_400.0


class SummaryKeeper:
    """Save each ended run once it is seen; a state that fails is a source that is down, and is tried again."""

    def __init__(self, store: SummaryStore, retention: Retention, publish: Callable[[SourceStatus], None]) -> None:
        self._store = store
        self.retention = retention
        self._publish = publish
        self._streak = Streak(_log, "state", "source=state")
        self._status = SourceStatus("state", "", up=True)
        self._saved: dict[str, pl.DataFrame] = {}
        self._pruned = 0.0
        self._begun = 0
        publish(self._status)

    async def keep(self, view: ClusterView) -> None:
        """Save the ended runs of a view that are not saved yet."""
        if self._store.begun != self._begun:
            self._begun = self._store.begun
            self._saved.clear()
        ended = await executors.run(executors.REFRESH, to_keep, view.frames["jobs"])
        trusted = await executors.run(executors.REFRESH, _trusted, view)
        saved = self._saved.get(view.cluster, ended.clear())
        new = ended.join(saved, on="run_id", how="anti")
        started = time.perf_counter()
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                # When there is nothing to save: whether it could be.
                await (self._store.check() if new.is_empty() else self._store.save_summaries(view.cluster, new))
                await self._prune(trusted)
        except (StateError, TimeoutError) as error:
            text = str(error) or f"state.url: no answer within {SAVE_SECONDS:g} s"
            self._tell(view.time, new.height, time.perf_counter() - started, text)
            return
        self._saved[view.cluster] = ended.select("run_id")
        self._tell(view.time, new.height, time.perf_counter() - started, "")

    async def _prune(self, at: float) -> None:
        if at - self._pruned >= PRUNE_SECONDS:
            kept = self.retention
            await self._store.prune(at - kept.summaries, at - kept.scripts, at - kept.alerts)
            self._pruned = at

    def _tell(self, at: float, rows: int, seconds: float, error: str) -> None:
        self._streak.note(error)
        self._status = SourceStatus(
            "state",
            "",
            up=not error,
            last_attempt=at,
            last_success=self._status.last_success if error else at,
            duration_seconds=seconds,
            rows=rows,
            error=error,
        )
        self._publish(self._status)


def _trusted(view: ClusterView) -> float:
    """Give the time by which to delete: our clock may be ahead, and then slurmdbd's newest event is not."""
    newest = view.frames["jobs"].select(
        pl.max_horizontal(pl.col(f"{event}_timestamp_seconds").max() for event in ("submit", "start", "end"))
    )
    return min(view.time, newest.item() or view.time)
