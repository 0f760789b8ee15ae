"""Watch over a running service: the delay of its event loop, and what systemd hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aggregator.app.service import Service
from aggregator.app.systemd import keep_watchdog, notify


@asynccontextmanager
async def watch(service: Service) -> AsyncIterator[None]:
    """Watch over a service that has started and answers while the body runs."""
    notify("READY=1")
    tasks = [
        asyncio.create_task(service.lag.measure(), name="lag"),
        asyncio.create_task(keep_watchdog(lambda: not service.progress.stalled()), name="watchdog"),
    ]
    try:
        yield
    finally:
        notify("STOPPING=1")
        for task in tasks:
            task.cancel()
