"""Add up what closed windows hold, exactly once each, and catch up after a stop."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from aggregator import executors
from aggregator.ledger.runs import runs_of
from aggregator.ledger.totals import KEEP_ENDED_SECONDS, add, no_totals
from aggregator.ledger.window import gains
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import Runs
from aggregator.model.ledger import LedgerTotals, LedgerView, Power
from aggregator.model.readings import Readings
from aggregator.model.view import ClusterView, Snapshot, SourceStatus
from aggregator.refresh.blank import complete
from aggregator.refresh.streak import Streak
from aggregator.sources.base import EndedRuns, FetchError
from aggregator.state import StateError

_log = logging.getLogger(__name__)
# Of one refresh while it catches up; the loop goes on at the next one.
MAX_BATCHES = 4
MAX_WINDOWS = 60
# A state that hangs must not hold up the snapshot.
LOAD_SECONDS = 5.0
# Runs × windows that are fetched at once: some tens of megabytes.
MAX_POINTS = 300_000
_ON_NODES = (
    pl.col("is_open")
    & pl.col("start_timestamp_seconds").is_not_null()
    & pl.col("state").is_in(["running", "suspended"])
)


class PowerSource(Protocol):
    """Where windows are read; window is their length, settle_seconds when a closed one is complete, in seconds."""

    window: float
    settle_seconds: float

    @property
    def rejected(self) -> Mapping[str, int]:
        """Count the values that were dropped, by reason."""
        ...

    async def newest(self, at: float) -> float | None:
        """Give the epoch time of the newest sample that there is at `at`; None without any.

        Raises FetchError.
        """
        ...

    async def windows(self, first_end: float, count: int) -> Readings:
        """Read `count` windows one after the other, the first of which ends at `first_end`.

        Raises FetchError.
        """
        ...


class LedgerKeeper(Protocol):
    """Where the ledger is kept."""

    async def load(self, cluster: str, keep_seconds: float) -> LedgerTotals | None:
        """Read a cluster's ledger.

        Raises StateError.
        """
        ...

    async def save(self, cluster: str, totals: LedgerTotals, before: float | None) -> bool:
        """Move it on from the window that ended at `before`; False when somebody else has.

        Raises StateError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """What things cost, how far back a new ledger begins, and how long the last power is shown, in seconds."""

    prices: Prices
    backfill_seconds: float = 86_400.0
    stale_after: float = 300.0


class LedgerRefresher:
    """Keep one cluster's ledger current; its snapshot says which runs are open, and until when that is known."""

    def __init__(
        self,
        cluster: str,
        *,
        power: PowerSource,
        ended: EndedRuns,
        keeper: LedgerKeeper,
        settings: LedgerSettings,
        snapshot: Callable[[], Snapshot],
        publish: Callable[[SourceStatus], None],
        failed: Callable[[], None],
    ) -> None:
        self.name = f"ledger of cluster {cluster}"
        self._cluster = cluster
        self._source = power
        self._ended = ended
        self._keeper = keeper
        self._settings = settings
        self._snapshot = snapshot
        self._publish = publish
        self._failed = failed
        self._totals: LedgerTotals | None = None
        self._power: Power | None = None
        self._streak = Streak(_log, "ledger", f"cluster={cluster}")
        self._status = SourceStatus("ledger", cluster, up=False, error="no window is closed yet")
        publish(self._status)

    def take_over(self, before: "LedgerRefresher") -> None:
        """Go on from what another refresher of the same cluster knew; the state has the last word when it is saved."""
        self._totals, self._power, self._status = before._totals, before._power, before._status
        self._publish(self._status)

    async def fetch(self, at: float) -> LedgerView | None:
        """Give what a snapshot at `at` shows: the totals, and the last power unless it is stale.

        What is kept is shown from the first snapshot on: counters and findings must not vanish at a restart or reload.
        """
        if self._totals is None:
            kept = await self._kept()
            # The ledger's own refresh may have been faster, and be further on.
            self._totals = self._totals or kept
        if self._totals is None:
            return None
        power = self._power
        if power and at - power.window_end > self._settings.stale_after + self._source.settle_seconds:
            power = None
        return LedgerView(self._settings.prices, self._totals, power)

    async def refresh(self, at: float) -> None:
        """Add the windows that have closed and settled; a failure is said, and made good at the next refresh."""
        started = time.perf_counter()
        windows, error = 0, ""
        try:
            windows = await self._advance(at)
        except (FetchError, StateError) as problem:
            error = str(problem)
        self._tell(at, windows, time.perf_counter() - started, error)

    async def withdraw(self, at: float) -> None:
        """Show no power, and read the ledger anew: what is in memory may be half done."""
        self._failed()
        self._totals = self._power = None
        self._tell(at, 0, 0.0, "unexpected error; the log has the details")

    async def _advance(self, at: float) -> int:
        """Add what is missing, oldest first, up to MAX_BATCHES batches; give the number of windows.

        Raises FetchError and StateError.
        """
        # The runs of all batches: a view that is published meanwhile may be one without jobs.
        jobs, accounted = self._view().frames.get("jobs"), self._accounted_until()
        if accounted is None or jobs is None:
            return 0
        newest = await self._newest(at, jobs)
        if newest is None:
            return 0
        settled = min(accounted, newest) - self._source.settle_seconds
        added = 0
        for _ in range(MAX_BATCHES):
            if self._totals is None:
                self._totals = await self._load(settled)
            self._refuse_the_future(self._totals, newest)
            count = await self._missing(self._totals, settled, jobs)
            if count <= 0:
                break
            added += await self._add(self._totals, count, newest, jobs)
        return added

    async def _newest(self, at: float, jobs: pl.DataFrame) -> float | None:
        """Give the time of the newest sample: our own clock may be wrong, and the samples late.

        None while nothing runs and nothing is scraped. Raises FetchError.
        """
        newest = await self._source.newest(at)
        if newest is None and await _count_running(jobs):
            raise FetchError("Prometheus has no sample of `up` in the five minutes before our clock, while jobs run")
        return newest

    def _refuse_the_future(self, totals: LedgerTotals, newest: float) -> None:
        """Raise StateError for a ledger that is further on than what can have been measured."""
        ahead = totals.window_end - newest
        if ahead > self._source.window:
            raise StateError(
                f"state.url: the ledger is {ahead:.0f} s further on than the newest sample: a clock was wrong "
                "(docs/runbook.md#hpcaggregatorledgerahead)"
            )

    def _accounted_until(self) -> float | None:
        """Tell until when the snapshot knows who ran: slurmacct's last success, not the last attempt.

        And not before a view was made of it, which may take long or hang: its jobs are those of the view before. A view
        that has no jobs because something failed tells nothing: every joule would be idle for ever.
        """
        status, view = self._snapshot().sources.get(("slurmacct", self._cluster)), self._view()
        if status is None or status.last_success is None or not view.has_jobs:
            return None
        return min(status.last_success, view.time)

    async def _kept(self) -> LedgerTotals | None:
        """Read what is kept; a state that fails is said by the ledger's own refresh."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS)
        except (StateError, TimeoutError):
            return None

    async def _load(self, settled: float) -> LedgerTotals:
        """Read the ledger, or begin one; where it begins is kept too, so that a restart does not begin later."""
        totals = await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS)
        if totals is None:
            first = no_totals(self._floor(settled - self._settings.backfill_seconds))
            is_ours = await self._keeper.save(self._cluster, first, None)
            totals = first if is_ours else await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS) or first
        return totals

    async def _load_or_restore(self, ours: LedgerTotals) -> LedgerTotals:
        """Read what another replica has saved; a state that is behind ours was deleted or replaced, and gets ours.

        Counters must not go back. Raises StateError.
        """
        kept = await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS)
        if kept is not None and kept.window_end >= ours.window_end:
            return kept
        if await self._keeper.save(self._cluster, ours, kept.window_end if kept else None):
            _log.error("the state had lost the ledger, it is written again from memory: cluster=%s", self._cluster)
            return ours
        return await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS) or ours

    async def _missing(self, totals: LedgerTotals, settled: float, jobs: pl.DataFrame) -> int:
        """Count the windows that may be added at once; none has closed at most refreshes."""
        due = math.floor((settled - self._next_begin(totals)) / self._source.window)
        if due <= 0:
            return 0
        return min(due, max(1, min(MAX_WINDOWS, MAX_POINTS // max(1, await _count_running(jobs)))))

    def _next_begin(self, totals: LedgerTotals) -> float:
        """Give where the next window begins: aligned, also when the windows have been given another length."""
        window = self._source.window
        return math.ceil(totals.window_end / window) * window

    def _floor(self, at: float) -> float:
        return math.floor(at / self._source.window) * self._source.window

    async def _add(self, totals: LedgerTotals, count: int, newest: float, jobs: pl.DataFrame) -> int:
        """Read, add and save some windows; 0 when another replica was faster.

        Raises FetchError while what jobs must have is missing in the first of them, and StateError.
        """
        begin, window = self._next_begin(totals), self._source.window
        # First who ended: series may name jobs as only slurmacct knows them (SLUIDs).
        ended = await self._ended.ended_since(begin)
        readings = await self._source.windows(begin + window, count)
        prices = self._settings.prices
        after, power = await executors.run(
            executors.REFRESH, lambda: _added(totals, prices, readings, jobs, ended, newest)
        )
        is_ours = await self._keeper.save(self._cluster, after, totals.window_end)
        # What another replica has added to the same windows is the same; it may be further on by now.
        self._totals = after if is_ours else await self._load_or_restore(totals)
        self._power = power
        return round((after.window_end - begin) / window) if is_ours else 0

    def _view(self) -> ClusterView:
        return self._snapshot().clusters[self._cluster]

    def _tell(self, at: float, windows: int, seconds: float, error: str) -> None:
        self._streak.note(error)
        self._status = SourceStatus(
            "ledger",
            self._cluster,
            up=not error,
            last_attempt=at,
            last_success=self._status.last_success if error else at,
            duration_seconds=seconds,
            rows=windows,
            error=error,
            rejected=dict(self._source.rejected),
        )
        self._publish(self._status)


async def _count_running(jobs: pl.DataFrame) -> int:
    return await executors.run(executors.REFRESH, lambda: jobs.filter(_ON_NODES).height)


def _added(
    totals: LedgerTotals, prices: Prices, readings: Readings, jobs: pl.DataFrame, ended: Runs, newest: float
) -> tuple[LedgerTotals, Power]:
    """Add the windows that are complete to the totals; give the power of the last one, too.

    Raises FetchError when the first one is not complete.
    """
    runs, allocated_gpus = runs_of(jobs, ended)
    gained = gains(complete(readings, runs, totals, newest), runs, allocated_gpus, totals.meters, prices)
    return add(totals, gained), Power(gained.window_end, gained.run_power, gained.node_power)
