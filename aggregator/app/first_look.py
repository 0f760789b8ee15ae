"""Say once in the log, after the start, which series are missing: with a wrong matcher everything else looks right."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aggregator.app.site import Site, open_site
from aggregator.config import Config
from aggregator.sources.base import FetchError

_log = logging.getLogger(__name__)


@asynccontextmanager
async def first_look(config: Config) -> AsyncIterator[None]:
    """Look for the series of each exporter while the body runs; nothing waits for it."""
    task = asyncio.create_task(_look(config), name="first look")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _look(config: Config) -> None:
    async with open_site(config) as site:
        await asyncio.gather(*(_look_at(site, name) for name in site.clusters))


async def _look_at(site: Site, cluster: str) -> None:
    presence = site.clusters[cluster].presence
    try:
        found = await presence.look(time.time()) if presence else ()
    except FetchError:
        # A source that is down is said by its own refresh.
        return
    for warning in (text for seen in found for text in seen.warnings):
        _log.warning("series are missing: cluster=%s said=%s", cluster, warning)
