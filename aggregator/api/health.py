"""GET /-/healthy, GET /-/ready and POST /-/reload, as Prometheus has them."""

from collections.abc import Collection

from aiohttp import web

from aggregator.api.audit import audit_change
from aggregator.api.freshness import is_stale, summarize
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.unbroken import to_the_end
from aggregator.model.view import Snapshot, SourceStatus

_HEADERS = {"Cache-Control": "no-store"}


async def get_healthy(request: web.Request) -> web.Response:
    """Answer that the process answers and its loops come round; it touches nothing else."""
    stalled = request.app[SETTINGS].upkeep.stalled()
    if stalled:
        return web.Response(status=503, text=f"Unhealthy: no progress: {', '.join(stalled)}\n", headers=_HEADERS)
    return web.Response(text="Healthy.\n", headers=_HEADERS)


async def get_ready(request: web.Request) -> web.Response:
    """Answer whether there are data to serve, with the age of each source's.

    Once everything was there, what a reload adds and is not there yet does not take away the rest.
    """
    snapshot, settings = request.app[STORE].current, request.app[SETTINGS]
    sources, now, upkeep = snapshot.sources, request.app[CLOCK](), settings.upkeep
    shown = [status for status in sources.values() if status.is_shown]
    unfinished = None if upkeep.was_ready else _unpublished(snapshot) or _untried(shown)
    obstacle = unfinished or _obstacle(shown, now, settings.stale_after)
    upkeep.was_ready = upkeep.was_ready or obstacle is None
    lines = [obstacle or "Ready.", *(summarize(sources[key], now) for key in sorted(sources))]
    return web.Response(status=503 if obstacle else 200, text="\n".join(lines) + "\n", headers=_HEADERS)


async def post_reload(request: web.Request) -> web.Response:
    """Reload the configuration; a wrong one leaves the old in force. Say which keys need a restart."""
    mistake = await to_the_end(_reload(request))
    if mistake is not None:
        return web.Response(status=500, text=f"failed to reload config: {mistake}\n", headers=_HEADERS)
    pending = [f"needs a restart: {key}" for key in request.app[SETTINGS].upkeep.needs_restart]
    return web.Response(text="\n".join(("Reloaded.", *pending)) + "\n", headers=_HEADERS)


async def _reload(request: web.Request) -> str | None:
    mistake = await request.app[SETTINGS].upkeep.reload()
    audit_change(request, "configuration", f"refused: {mistake}" if mistake else "reloaded")
    return mistake


def _unpublished(snapshot: Snapshot) -> str | None:
    """Say that a page would lack something: sources are read some time before what comes of them is published."""
    times = [
        *(view.time for view in snapshot.clusters.values()),
        *(view.time for view in snapshot.filesystems.values()),
        *(view.time for view in snapshot.clouds.values()),
    ]
    return None if all(times) else "Not ready: the first refresh has not ended yet."


def _untried(sources: Collection[SourceStatus]) -> str | None:
    """Say that it is not known yet of every source whether it can be read."""
    if sources and all(status.last_attempt is not None for status in sources):
        return None
    return "Not ready: not every source has been tried yet."


def _obstacle(sources: Collection[SourceStatus], now: float, stale_after: float) -> str | None:
    """Say why the service is not ready; one source with young data is enough, for sources fail alone."""
    if all(status.last_success is None for status in sources):
        return "Not ready: no source could be read yet."
    if all(is_stale(status, now, stale_after) for status in sources):
        return f"Not ready: all data are older than {stale_after:.0f} s."
    return None
