"""GET /api/v1/status."""

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.parameters import Parameters
from aggregator.api.representation import source_json


async def get_status(request: web.Request) -> web.Response:
    """Answer with the version and all that is known of the sources."""
    Parameters(request)
    settings, now = request.app[SETTINGS], request.app[CLOCK]()
    sources = request.app[STORE].current.sources
    data = {
        "version": settings.version,
        "external_url": settings.external_url or None,
        "sources": [source_json(sources[key], now, settings.stale_after) for key in sorted(sources)],
    }
    return success(request, data)
