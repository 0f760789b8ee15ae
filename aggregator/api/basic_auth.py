"""Basic authentication against bcrypt hashes, as the web configuration of Prometheus's exporters has it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cachetools import TTLCache

from aggregator import executors
from aggregator.api.access import HEALTH, area_of
from aggregator.api.errors import ApiError
from aggregator.api.identity import ANONYMOUS, basic_identity, identity_of, set_identity

# bcrypt is slow on purpose: a scrape every few seconds must not pay for it each time.
CACHE_SECONDS = 60.0
_UNKNOWN = bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(4)).decode()


class BadCredentials(ApiError):
    """The request has no credentials, or wrong ones."""

    status, error_type = 401, "unauthorized"
    headers = {"WWW-Authenticate": 'Basic realm="hpc-aggregator", charset="UTF-8"'}  # noqa: RUF012  # as its base has it


def basic_auth(users: Mapping[str, str]) -> Middleware:
    """Make the middleware that lets in only these users and whoever is known otherwise.

    Health needs no identity, for probes have no credentials.
    """
    known: TTLCache[bytes, bool] = TTLCache(1000, CACHE_SECONDS)
    key = secrets.token_bytes(32)

    async def is_right(name: str, password: str) -> bool:
        """Compare in a thread, as long for an unknown name as for a known one."""
        digest = hmac.digest(key, f"{name}\0{password}".encode(), hashlib.sha256)
        if digest not in known:
            hashed = users.get(name, _UNKNOWN).encode()
            # bcrypt itself refuses more than 72 bytes.
            known[digest] = (
                await executors.run(executors.ANSWERS, bcrypt.checkpw, password.encode()[:72], hashed) and name in users
            )
        return known[digest]

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if identity_of(request) is not ANONYMOUS or (area_of(request.path) == HEALTH and request.path != "/"):
            return await handler(request)
        given = _credentials(request)
        if given is None or not await is_right(*given):
            raise BadCredentials("user and password are needed: see --web.config.file, basic_auth_users")
        set_identity(request, basic_identity(given[0]))
        return await handler(request)

    return check


def _credentials(request: web.Request) -> tuple[str, str] | None:
    """Read name and password; None for anything else than Basic credentials in UTF-8."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if scheme.lower() == "basic" and colon else None
