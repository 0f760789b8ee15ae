"""What one client may ask, so that it is not at the cost of the others: how often, how much at once, for how long.

`/-/…` and `/metrics` are bounded in time only: no API client, and nobody with a scraper's address, can starve them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cachetools import LRUCache

from aggregator.api.address import address_key
from aggregator.api.errors import Busy, RateLimited, SlowBody, Timeout
from aggregator.api.gate import FairGate
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS

Refuse = Callable[[str], None]
# Alertmanager tells many groups at once, and sends again at once only what is answered with 5xx.
ALERTS_PATH: Final = "/api/v1/alerts"
_CLIENTS: Final = 10_000
# Identities that can be served at once, when each asks for as much as it may.
_GATE_IDENTITIES: Final = 4
# A turn that comes later leaves no time for the answer.
_PATIENCE_RATIO: Final = 0.5
# Of the API requests that are under way, what one client may have.
_CLIENT_RATIO: Final = 0.25
# By the last part of a route, what is read for this one request: each kind has a gate of its own, so that a Prometheus
# that hangs holds up graphs only. What the snapshot answers is not expensive.
_GRAPHS: Final = frozenset({"applications", "series"})
_ROWS: Final = frozenset(
    {"advice", "alerts", "events", "explain", "history", "script", "usage", "reservations", "{job_id}"}
)


def client_key(request: web.Request) -> str:
    """Name who asks: the identity, or else the address."""
    identity = identity_of(request)
    if identity.kind in ("anonymous", "open"):
        return f"address {address_key(request.remote or '')}"
    return f"{identity.kind} {identity.token_id or identity.name}"


def deadline(refuse: Refuse) -> Middleware:
    """Make the middleware that ends what takes too long, and with it all that the request has begun."""

    @web.middleware
    async def end_in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
        seconds = request.app[SETTINGS].bounds.request_timeout
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await handler(request)
        except TimeoutError:
            if not limit.expired():
                raise
            refuse("request_timeout")
        if request.writer.output_size > 0 and request.transport is not None:
            # Half an answer is out: its client reads too slowly, and shall not take it for the whole.
            request.transport.abort()
            raise asyncio.CancelledError
        if not request.content.is_eof():
            raise SlowBody(f"the body did not come within {seconds:g} s")
        raise Timeout(f"no answer within {seconds:g} s")

    return end_in_time


class Allowances:
    """Requests that each client may still make at once: a bucket that fills up with time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_CLIENTS)

    def take(self, who: str, per_second: float, burst: float) -> None:
        """Take one request out of a client's bucket.

        Raises RateLimited when it is empty.
        """
        now = self._clock()
        left, at = self._buckets.get(who, (burst, now))
        left = min(burst, left + (now - at) * per_second)
        if left < 1:
            raise RateLimited(
                f"more than {per_second:g} requests per second and {burst:g} at once; ask again later",
                (1 - left) / per_second,
            )
        self._buckets[who] = left - 1, now


class ClientLimits:
    """Refuse a client what is too much. `api_at_once` tells how many API requests may be under way at once."""

    def __init__(self, refuse: Refuse, api_at_once: Callable[[], int]) -> None:
        self._refuse = refuse
        self._api_at_once = api_at_once
        self._allowances = Allowances()
        self._gates = {"graphs": FairGate(), "rows": FairGate()}
        self._in_flight: Counter[str] = Counter()

    @web.middleware
    async def apply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer what is within the limits.

        Raises RateLimited, Busy.
        """
        if request.path.startswith("/-/") or request.path == "/metrics":
            return await handler(request)
        try:
            who = client_key(request)
            bounds = request.app[SETTINGS].bounds
            self._allowances.take(who, bounds.requests_per_second, bounds.burst)
            return await self._answer(request, handler, who)
        except RateLimited as error:
            self._refuse("rate")
            if request.path == ALERTS_PATH:
                raise Busy(str(error)) from error
            raise
        except Busy:
            self._refuse("busy")
            raise

    async def _answer(self, request: web.Request, handler: Handler, who: str) -> web.StreamResponse:
        bounds, total = request.app[SETTINGS].bounds, self._api_at_once()
        if self._in_flight.total() >= total or self._in_flight[who] >= total * _CLIENT_RATIO:
            raise Busy("too many requests are being answered")
        self._in_flight[who] += 1
        try:
            if not (kind := _reads(request)):
                return await handler(request)
            each, patience = bounds.expensive_at_once, bounds.request_timeout * _PATIENCE_RATIO
            async with self._gates[kind].slot(who, each=each, total=each * _GATE_IDENTITIES, patience=patience):
                return await handler(request)
        finally:
            self._in_flight[who] -= 1
            if not self._in_flight[who]:
                del self._in_flight[who]


def _reads(request: web.Request) -> str:
    """Name what is read on demand for a request, "" when it is answered from the snapshot."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource and request.method in ("GET", "HEAD") else ""
    last = route.rpartition("/")[2]
    if last in _GRAPHS:
        return "graphs"
    return "rows" if last in _ROWS or route.endswith("/nodes/{node}/jobs") else ""
