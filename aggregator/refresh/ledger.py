"""Add up what closed windows hold, exactly once each, and catch up after a stop."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aggregator import executors
from aggregator.join.energy import LedgerView
from aggregator.join.ledger import KEEP_ENDED_SECONDS, LedgerBook
from aggregator.model.accounting import Run
from aggregator.model.energy import Ledger, Power, PowerWindow, Prices
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

    async def windows(self, first_end: float, count: int) -> Sequence[PowerWindow]:
        """Read `count` windows one after the other, the first of which ends at `first_end`.

        Raises FetchError.
        """
        ...


class LedgerKeeper(Protocol):
    """Where the ledger is kept."""

    async def load(self, cluster: str, keep_seconds: float) -> Ledger | None:
        """Read a cluster's ledger.

        Raises StateError.
        """
        ...

    async def save(self, cluster: str, ledger: Ledger, before: float | None) -> bool:
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
        self._ledger: Ledger | None = None
        self._power: Power | None = None
        self._streak = Streak(_log, "ledger", f"cluster={cluster}")
        self._status = SourceStatus("ledger", cluster, up=False, error="no window is closed yet")
        publish(self._status)

    def take_over(self, before: "LedgerRefresher") -> None:
        """Go on from what another refresher of the same cluster knew; the state has the last word when it is saved."""
        self._ledger, self._power, self._status = before._ledger, before._power, before._status
        self._publish(self._status)

    async def view(self, at: float) -> LedgerView | None:
        """Give what a snapshot at `at` shows: the totals, and the last power unless it is stale.

        What is kept is shown from the first snapshot on: counters and findings must not vanish at a restart or reload.
        """
        if self._ledger is None:
            kept = await self._kept()
            # The ledger's own refresh may have been faster, and be further on.
            self._ledger = self._ledger or kept
        if self._ledger is None:
            return None
        power = self._power
        if power and at - power.window_end > self._settings.stale_after + self._source.settle_seconds:
            power = None
        return LedgerView(self._settings.prices, self._ledger, power)

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
        self._ledger = self._power = None
        self._tell(at, 0, 0.0, "unexpected error; the log has the details")

    async def _advance(self, at: float) -> int:
        """Add what is missing, oldest first, up to MAX_BATCHES batches; give the number of windows.

        Raises FetchError and StateError.
        """
        accounted = self._accounted_until()
        if accounted is None:
            return 0
        newest = await self._newest(at)
        if newest is None:
            return 0
        settled = min(accounted, newest) - self._source.settle_seconds
        added = 0
        for _ in range(MAX_BATCHES):
            if self._ledger is None:
                self._ledger = await self._load(settled)
            self._refuse_the_future(self._ledger, newest)
            count = self._missing(self._ledger, settled)
            if count <= 0:
                break
            added += await self._add(self._ledger, count, newest)
        return added

    async def _newest(self, at: float) -> float | None:
        """Give the time of the newest sample: our own clock may be wrong, and the samples late.

        None while nothing runs and nothing is scraped. Raises FetchError.
        """
        newest = await self._source.newest(at)
        if newest is None and self._running():
            raise FetchError("Prometheus has no sample of `up` in the five minutes before our clock, while jobs run")
        return newest

    def _refuse_the_future(self, ledger: Ledger, newest: float) -> None:
        """Raise StateError for a ledger that is further on than what can have been measured."""
        ahead = ledger.window_end - newest
        if ahead > self._source.window:
            raise StateError(
                f"state.url: the ledger is {ahead:.0f} s further on than the newest sample: a clock was wrong "
                "(docs/runbook.md#hpcaggregatorledgerahead)"
            )

    def _accounted_until(self) -> float | None:
        """Tell until when the snapshot knows who ran: slurmacct's last success, not the last attempt.

        And not before a view was made of it, which may take long or hang: its jobs are those of the view before.
        """
        status, view = self._snapshot().sources.get(("slurmacct", self._cluster)), self._view()
        if status is None or status.last_success is None or not view.time:
            return None
        return min(status.last_success, view.time)

    async def _kept(self) -> Ledger | None:
        """Read what is kept; a state that fails is said by the ledger's own refresh."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS)
        except (StateError, TimeoutError):
            return None

    async def _load(self, settled: float) -> Ledger:
        """Read the ledger, or begin one; where it begins is kept too, so that a restart does not begin later."""
        ledger = await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS)
        if ledger is None:
            first = Ledger(self._floor(settled - self._settings.backfill_seconds))
            is_ours = await self._keeper.save(self._cluster, first, None)
            ledger = first if is_ours else await self._keeper.load(self._cluster, KEEP_ENDED_SECONDS) or first
        return ledger

    async def _load_or_restore(self, ours: Ledger) -> Ledger:
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

    def _missing(self, ledger: Ledger, settled: float) -> int:
        window = self._source.window
        limit = max(1, min(MAX_WINDOWS, MAX_POINTS // max(1, self._running())))
        return min(limit, math.floor((settled - self._next_begin(ledger)) / window))

    def _running(self) -> int:
        return sum(1 for job in self._view().jobs if job.run.holds_resources)

    def _next_begin(self, ledger: Ledger) -> float:
        """Give where the next window begins: aligned, also when the windows have been given another length."""
        window = self._source.window
        return math.ceil(ledger.window_end / window) * window

    def _floor(self, at: float) -> float:
        return math.floor(at / self._source.window) * self._source.window

    async def _add(self, ledger: Ledger, count: int, newest: float) -> int:
        """Read, add and save some windows; 0 when another replica was faster.

        Raises FetchError while what jobs must have is missing in the first of them, and StateError.
        """
        begin = self._next_begin(ledger)
        windows, ended = await asyncio.gather(
            self._source.windows(begin + self._source.window, count), self._ended.ended_since(begin)
        )
        # A run that has ended since the snapshot is in both; its end is the newer fact.
        runs = {job.run.run_id: job.run for job in self._view().jobs} | {run.run_id: run for run in ended}
        windows = await executors.run(executors.REFRESH, complete, windows, list(runs.values()), ledger, newest)
        book = await executors.run(
            executors.REFRESH, _book, ledger, self._settings.prices, windows, list(runs.values())
        )
        after = book.ledger()
        is_ours = await self._keeper.save(self._cluster, after, ledger.window_end)
        # What another replica has added to the same windows is the same; it may be further on by now.
        self._ledger = after if is_ours else await self._load_or_restore(ledger)
        self._power = book.power
        return len(windows) if is_ours else 0

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


def _book(ledger: Ledger, prices: Prices, windows: Sequence[PowerWindow], runs: Sequence[Run]) -> LedgerBook:
    book = LedgerBook(ledger, prices)
    for window in windows:
        book.add(window, runs)
    return book
