"""Which areas of the service a request may enter.

An area is open to everybody who reaches the address (and whom the web configuration, if there is one, lets in), or it
needs an identity with the right scope.
"""

from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.areas import ALERTS, API, AREAS, CLUSTERS, DOOR, HEALTH, INGEST, METRICS, READ, STAFF
from aggregator.api.audit import audit_refusal
from aggregator.api.errors import Forbidden, Unauthorized
from aggregator.api.identity import ANONYMOUS, OPEN, Identity, identity_of, set_identity, token_identity
from aggregator.api.keys import CLOCK, SETTINGS, STORE, ApiSettings
from aggregator.api.route import AREAS_OF_PATHS
from aggregator.api.session import resume, shown_by
from aggregator.api.tokens.scope import ALERTS as ALERTS_SCOPE
from aggregator.api.tokens.scope import METRICS as METRICS_SCOPE
from aggregator.api.tokens.scope import READ_ALL, ingest, may_read
from aggregator.api.visibility import is_staff
from aggregator.model.token import PREFIX

__all__ = ["API", "AREAS", "CLUSTERS", "HEALTH", "METRICS", "area_of", "check_access", "identify"]

_CLOSED: Final = (
    "no way to authenticate is configured for this address; see docs/configuration.md: auth, --web.config.file"
)
_WANTED: Final = "an identity is needed: send Authorization: Bearer and a token; see docs/api.md: Access"


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks.

    Raises Unauthorized for a token that is not valid, wherever it is shown.
    """
    try:
        identity = await _identify(request)
    except Unauthorized as error:
        audit_refusal(request, str(error))
        raise
    if is_staff(identity, request.app[SETTINGS].rules, request.app[STORE].current):
        identity = replace(identity, staff=True)
    set_identity(request, identity)
    return await handler(request)


async def _identify(request: web.Request) -> Identity:
    settings = request.app[SETTINGS]
    identity = await _of_token(request, settings)
    if settings.ways.proxy and settings.ways.proxy.is_peer(request):
        # Who looks is the user that the proxy names, whatever the proxy's own token would let it see.
        identity = settings.ways.proxy.identify(request) or identity
    if identity is ANONYMOUS and settings.ways.certificates:
        identity = settings.ways.certificates.identify(request) or identity
    return await _of_session(request, settings) if identity is ANONYMOUS else identity


async def _of_session(request: web.Request, settings: ApiSettings) -> Identity:
    """Give the identity of the session whose cookie is shown; one that is over is as none."""
    cookie, ways, now = shown_by(request), settings.ways, request.app[CLOCK]()
    if cookie is None:
        return ANONYMOUS
    entry = await resume(ways.tokens, cookie, now) if ways.tokens else None
    if entry is not None:
        return token_identity(entry)
    signed_on = await ways.single_sign_on.resume(cookie, now) if ways.single_sign_on else None
    return signed_on or ANONYMOUS


async def _of_token(request: web.Request, settings: ApiSettings) -> Identity:
    """Give the identity of the token that is shown, ours or an access token of the single sign-on."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    others = settings.ways.access_tokens
    if settings.ways.tokens and scheme.lower() == "bearer":
        is_ours = credentials.strip().startswith(PREFIX) or others is None or not others.in_authorization
        if is_ours:
            return token_identity(await settings.ways.tokens.authenticate(credentials.strip(), request.app[CLOCK]()))
    shown = others.shown_by(request) if others else None
    return await others.identify(shown) if others and shown is not None else ANONYMOUS


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request to an area that is not open to it.

    Raises Unauthorized without an identity, Forbidden without the scope.
    """
    identity, area, settings = identity_of(request), area_of(request), request.app[SETTINGS]
    if area == DOOR:
        return await handler(request)
    if identity is ANONYMOUS:
        if _open_name(area) not in settings.open_areas:
            raise Unauthorized(_WANTED if settings.ways else _CLOSED)
        if API in settings.open_areas:
            set_identity(request, OPEN)
    elif area not in settings.open_areas:
        try:
            _check_scope(request, identity, area)
        except Forbidden as error:
            audit_refusal(request, str(error), identity)
            raise
    return await handler(request)


def area_of(request: web.Request) -> str:
    """Tell the area of the request's route, the staff's for one that declares none, and to be read for no route."""
    resource, areas = request.match_info.route.resource, request.app[AREAS_OF_PATHS]
    if resource is None:
        return areas.get(request.path, READ)
    return areas.get(resource.canonical, STAFF)


def _open_name(area: str) -> str:
    """Give the area's name in `auth.anonymous`."""
    return area if area in AREAS else API


def _check_scope(request: web.Request, identity: Identity, area: str) -> None:
    """Raise Forbidden where an area needs a scope that the identity lacks."""
    if area == INGEST:
        _require(identity, ingest(request.match_info["cluster"]))
    elif area == ALERTS:
        _require(identity, ALERTS_SCOPE)
    elif area == METRICS:
        _require(identity, METRICS_SCOPE)
    elif area == READ:
        if not identity.staff and not may_read(identity.scopes):
            raise Forbidden(f"{_this(identity)} lacks a scope to read: read:all, read:own or read:account:ACCOUNT")
    elif area == STAFF:
        _require(identity, READ_ALL)


def _require(identity: Identity, scope: str) -> None:
    if not identity.may(scope):
        raise Forbidden(f"{_this(identity)} lacks the scope {scope[:100]}")


def _this(identity: Identity) -> str:
    return "this token" if identity.kind == "token" else "this user"
