"""Watch over a running service: the delay of its event loop, its garbage, and what systemd hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aggregator.app.garbage import tend_garbage
from aggregator.app.service import Service
from aggregator.app.systemd import keep_watchdog, notify
from aggregator.model.view import Snapshot


@asynccontextmanager
async def watch(service: Service) -> AsyncIterator[None]:
    """Watch over a service that has started and answers while the body runs."""
    notify("READY=1")
    tasks = [
        asyncio.create_task(tend_garbage(lambda: _has_published(service.store.latest)), name="garbage"),
        asyncio.create_task(service.lag.measure(), name="lag"),
        asyncio.create_task(keep_watchdog(lambda: not service.progress.stalled()), name="watchdog"),
    ]
    try:
        yield
    finally:
        notify("STOPPING=1")
        for task in tasks:
            task.cancel()


def _has_published(snapshot: Snapshot) -> bool:
    """Tell whether a refresh has come to its end: what is configured is known from the beginning, at the time 0."""
    times = [view.time for view in snapshot.clusters.values()]
    times += [view.time for view in snapshot.filesystems.values()]
    times += [view.time for view in snapshot.clouds.values()]
    return any(times)
