"""The loops: one per cluster and file system, each refreshing at its interval, never overlapping itself."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

_log = logging.getLogger(__name__)


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


async def run_loops(scheduled: Sequence[Scheduled], clock: Callable[[], float] = time.time) -> None:
    """Refresh everything at its interval until cancelled."""
    async with asyncio.TaskGroup() as group:
        for item in scheduled:
            group.create_task(_loop(item, clock), name=f"refresh {item.refresher.name}")


async def _refresh(refresher: Refresher, at: float) -> None:
    """Refresh once; a bug in joining or rendering one cluster must neither stop the others nor serve its old data."""
    try:
        await refresher.refresh(at)
    except Exception:
        _log.exception("refresh failed, its series are withdrawn: of=%s", refresher.name)
        await refresher.withdraw(at)


async def _loop(item: Scheduled, clock: Callable[[], float]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    while True:
        started = loop.time()
        await _refresh(item.refresher, clock())
        if task and task.cancelling():
            # Python 3.11's wait_for swallows a cancellation that comes as its result does, and a driver uses it.
            return
        took = loop.time() - started
        if took > item.interval:
            _log.warning("refresh slower than its interval: of=%s seconds=%.1f", item.refresher.name, took)
        await asyncio.sleep(max(0.0, item.interval - took))
