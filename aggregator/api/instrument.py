"""Time every request by its route: the pattern, never the path, which anybody can make up."""

import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

# route, method, status code, seconds
Observe = Callable[[str, str, str, float], None]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def instrument(observe: Observe) -> Middleware:
    """Make the middleware that tells `observe` of every answered request."""

    @web.middleware
    async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        method = request.method if request.method in _METHODS else "other"
        observe(route, method, str(response.status), time.perf_counter() - started)
        return response

    return timed
