"""GET /metrics."""

from typing import Final

from aiohttp import web

from aggregator import families
from aggregator.api.keys import PAGE
from aggregator.api.parameters import Parameters

GROUPS: Final = families.GROUPS | {"service"}


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Answer with all families, or with those of the groups that collect[] names."""
    groups = Parameters(request, "collect[]").choices("collect[]", GROUPS)
    return await request.app[PAGE].respond(request, groups or None)
