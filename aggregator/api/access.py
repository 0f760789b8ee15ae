"""Which areas of the service a request may enter.

This version knows no identities: an area is open to everybody who reaches the address (and whom the web configuration,
if there is one, lets in), or to nobody.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.errors import Unauthorized
from aggregator.api.keys import SETTINGS

HEALTH: Final = "health"
METRICS: Final = "metrics"
API: Final = "api"
AREAS: Final = frozenset({HEALTH, METRICS, API})

_AREA_OF_PATH = {"/": HEALTH, "/-/healthy": HEALTH, "/-/ready": HEALTH, "/metrics": METRICS}
_CLOSED = "no way to authenticate is configured for this address; see docs/configuration.md: auth, --web.config.file"


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request to an area that is not open.

    Raises Unauthorized.
    """
    if area_of(request.path) not in request.app[SETTINGS].open_areas:
        raise Unauthorized(_CLOSED)
    return await handler(request)


def area_of(path: str) -> str:
    """Tell the area of a path; one that is not listed is the API's, which is the most guarded."""
    return _AREA_OF_PATH.get(path, API)
