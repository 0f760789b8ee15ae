"""Which areas of the service a request may enter.

An area is open to everybody who reaches the address (and whom the web configuration, if there is one, lets in), or it
needs an identity with the right scope.
"""

import re
from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.errors import Forbidden, Unauthorized
from aggregator.api.identity import ANONYMOUS, OPEN, Identity, identity_of, set_identity, token_identity
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.tokens.scope import METRICS as METRICS_SCOPE
from aggregator.api.tokens.scope import READ_ALL, ingest, may_read
from aggregator.api.visibility import is_staff

HEALTH: Final = "health"
METRICS: Final = "metrics"
CLUSTERS: Final = "clusters"
API: Final = "api"
AREAS: Final = frozenset({HEALTH, METRICS, CLUSTERS, API})

_AREA_OF_PATH = {"/": HEALTH, "/-/healthy": HEALTH, "/-/ready": HEALTH, "/metrics": METRICS}
_CLUSTERS = re.compile(r"/api/v1/clusters(/[^/]+)?")
_STAFF_PATHS = frozenset({"/-/reload", "/api/v1/status", "/api/v1/cloud/series"})
_WHOAMI = "/api/v1/whoami"
_CLOSED = "no way to authenticate is configured for this address; see docs/configuration.md: auth, --web.config.file"
_WANTED = "an identity is needed: send Authorization: Bearer and a token; see docs/api.md: Access"


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks.

    Raises Unauthorized for a token that is not valid, wherever it is shown.
    """
    identity = await _identify(request)
    if is_staff(identity, request.app[SETTINGS].rules, request.app[STORE].current):
        identity = replace(identity, staff=True)
    set_identity(request, identity)
    return await handler(request)


async def _identify(request: web.Request) -> Identity:
    settings = request.app[SETTINGS]
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    identity = ANONYMOUS
    if settings.tokens and scheme.lower() == "bearer":
        identity = token_identity(await settings.tokens.authenticate(credentials.strip(), request.app[CLOCK]()))
    if settings.proxy and settings.proxy.is_peer(request):
        # Who looks is the user that the proxy names, whatever the proxy's own token would let it see.
        return settings.proxy.identify(request) or identity
    return identity


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request to an area that is not open to it.

    Raises Unauthorized without an identity, Forbidden without the scope.
    """
    identity, area = identity_of(request), area_of(request.path)
    if identity is ANONYMOUS:
        _check_anonymous(request, area)
    elif area == METRICS and METRICS not in request.app[SETTINGS].open_areas:
        _require(identity, METRICS_SCOPE)
    elif area == API:
        _check_scope(request, identity)
    return await handler(request)


def area_of(path: str) -> str:
    """Tell the area of a path; one that is not listed is the API's, which is the most guarded."""
    return CLUSTERS if _CLUSTERS.fullmatch(path) else _AREA_OF_PATH.get(path, API)


def _check_anonymous(request: web.Request, area: str) -> None:
    settings = request.app[SETTINGS]
    # Behind a proxy that names its users, one without a name is not everybody on this machine.
    nameless = settings.proxy is not None and settings.proxy.is_peer(request)
    open_areas = settings.open_areas
    if nameless and API in open_areas:
        open_areas &= {HEALTH, METRICS}
    if area not in open_areas:
        raise Unauthorized(_WANTED if settings.tokens or settings.proxy else _CLOSED)
    if API in open_areas:
        set_identity(request, OPEN)


def _check_scope(request: web.Request, identity: Identity) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource else ""
    if route.startswith("/api/v1/clusters/{cluster}/jobscripts"):
        _require(identity, ingest(request.match_info["cluster"]))
    elif route in _STAFF_PATHS:
        _require(identity, READ_ALL)
    elif route != _WHOAMI and not identity.staff and not may_read(identity.scopes):
        raise Forbidden(f"{_this(identity)} lacks a scope to read: read:all, read:own or read:account:ACCOUNT")


def _require(identity: Identity, scope: str) -> None:
    if not identity.may(scope):
        raise Forbidden(f"{_this(identity)} lacks the scope {scope[:100]}")


def _this(identity: Identity) -> str:
    return "this token" if identity.kind == "token" else "this user"
