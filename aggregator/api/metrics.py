"""GET /metrics."""

from aiohttp import web

from aggregator.api.keys import PAGE
from aggregator.api.parameters import Parameters


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Answer with all families, or with those of the groups that collect[] names."""
    page = request.app[PAGE]
    groups = Parameters(request).choices("collect[]", page.groups)
    return await page.respond(request, groups or None)
