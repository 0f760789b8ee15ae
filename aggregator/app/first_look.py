"""Say once in the log, after the start, which series are missing: with a wrong matcher everything else looks right."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import Presence

_log = logging.getLogger(__name__)


@asynccontextmanager
async def first_look(presences: Mapping[str, Presence]) -> AsyncIterator[None]:
    """Look for the series of each cluster's exporters while the body runs; nothing waits for it."""
    looks = (_look(cluster, presence) for cluster, presence in presences.items())
    task = asyncio.ensure_future(asyncio.gather(*looks))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _look(cluster: str, presence: Presence) -> None:
    try:
        found = await presence.look(time.time())
    except FetchError:
        # A source that is down is said by its own refresh.
        return
    for warning in (text for seen in found for text in seen.warnings):
        _log.warning("series are missing: cluster=%s said=%s", cluster, warning)
