"""The loops: one per cluster and file system, each refreshing at its interval, never overlapping itself."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aggregator.refresh.progress import STALLED_AFTER, Progress

_log = logging.getLogger(__name__)
# A loop that a bug has ended is started again after so many seconds, doubled each time.
RESTART_SECONDS = 1.0
MAX_RESTART_SECONDS = 60.0
# So that the loops of a site's services, started by one event, do not ask its databases at one moment for ever.
JITTER = 0.1


class Refresher(Protocol):
    """Something that can be brought up to date."""

    name: str

    async def refresh(self, at: float) -> None:
        """Bring it up to date as of epoch time `at`."""
        ...

    async def withdraw(self, at: float) -> None:
        """Show nothing: what there is cannot be trusted to be renewed."""
        ...


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A refresher and its interval in seconds."""

    refresher: Refresher
    interval: float


async def run_loops(
    scheduled: Sequence[Scheduled],
    clock: Callable[[], float] = time.time,
    progress: Progress | None = None,
    stalled_after: float = STALLED_AFTER,
) -> None:
    """Refresh everything at its interval until cancelled; progress is told what to expect, and what comes round."""
    progress = progress or Progress()
    progress.expect([(item.refresher.name, item.interval) for item in scheduled], stalled_after)
    try:
        async with asyncio.TaskGroup() as group:
            for item in scheduled:
                loop = _Loop(item, clock, progress)
                group.create_task(loop.supervise(), name=f"refresh {item.refresher.name}")
    finally:
        progress.forget(item.refresher.name for item in scheduled)


class _Loop:
    """One refresher's loop."""

    def __init__(self, item: Scheduled, clock: Callable[[], float], progress: Progress) -> None:
        self._refresher = item.refresher
        self._name = item.refresher.name
        self._interval = item.interval
        self._clock = clock
        self._progress = progress
        self._failures = 0
        self._is_slow = False

    async def supervise(self) -> None:
        """Run until cancelled; what else ends the loop is a bug, and must end neither it nor the others."""
        pause = RESTART_SECONDS
        while True:
            try:
                await self._run()
                return
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                _log.error("loop was cancelled by nobody, it starts again: of=%s seconds=%g", self._name, pause)
            except Exception:
                _log.exception("loop ended by a bug, it starts again: of=%s seconds=%g", self._name, pause)
            self._progress.restarted(self._name)
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_RESTART_SECONDS)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self._refresh(self._clock())
            if _is_cancelled():
                # Python 3.11's wait_for swallows a cancellation that comes as its result does, and a driver uses it.
                return
            self._progress.beat(self._name)
            took = loop.time() - started
            self._tell_slowness(took)
            await asyncio.sleep(max(0.0, self._interval * random.uniform(1 - JITTER, 1) - took))  # noqa: S311

    async def _refresh(self, at: float) -> None:
        """Refresh once; a bug in joining or rendering one cluster must neither stop the others nor serve old data."""
        try:
            await self._refresher.refresh(at)
        except Exception:
            self._failures += 1
            if self._failures == 1:
                _log.exception("refresh failed, its series are withdrawn: of=%s", self._name)
            await self._refresher.withdraw(at)
        else:
            if self._failures:
                _log.info("refresh succeeded: of=%s failures=%d", self._name, self._failures)
            self._failures = 0

    def _tell_slowness(self, took: float) -> None:
        """Say once that refreshes take too long, and once that they do not any more."""
        is_slow = took > self._interval
        if is_slow and not self._is_slow:
            _log.warning("refresh slower than its interval: of=%s seconds=%.1f", self._name, took)
        elif self._is_slow and not is_slow:
            _log.info("refresh within its interval again: of=%s seconds=%.1f", self._name, took)
        self._is_slow = is_slow


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
