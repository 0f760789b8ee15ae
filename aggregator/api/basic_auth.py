"""Basic authentication against bcrypt hashes, as the web configuration of Prometheus's exporters has it."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cachetools import TTLCache

from aggregator import executors
from aggregator.api.access import HEALTH, area_of
from aggregator.api.address import address_key
from aggregator.api.audit import audit_refusal
from aggregator.api.errors import ApiError, Busy, RateLimited
from aggregator.api.identity import ANONYMOUS, basic_identity, identity_of, set_identity

# bcrypt is slow on purpose: a scrape every few seconds must not pay for it each time. Each use keeps it for so long.
CACHE_SECONDS: Final = 300.0
# So many wrong passwords an address may show; the last of them has to be so long ago before it may show more.
FAILURES: Final = 10
FAILURE_SECONDS: Final = 60.0
_MAX_WAITING: Final = 32
_BUSY_SECONDS: Final = 1.0
_DEFAULT_COST: Final = 10
_WANTED: Final = "user and password are needed: see --web.config.file, basic_auth_users"


class BadCredentials(ApiError):
    """The request has no credentials, or wrong ones."""

    status, error_type = 401, "unauthorized"
    headers = {"WWW-Authenticate": 'Basic realm="hpc-aggregator", charset="UTF-8"'}  # noqa: RUF012  # as its base has it


class Passwords:
    """Know which passwords are right: few are checked at a time, and of an address that was often wrong none."""

    def __init__(self, users: Mapping[str, str], timer: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._right: TTLCache[bytes, bool] = TTLCache(1000, CACHE_SECONDS, timer)
        self._failures: TTLCache[str, int] = TTLCache(10_000, FAILURE_SECONDS, timer)
        self._key = secrets.token_bytes(32)
        self._waiting = 0

    async def is_right(self, name: str, password: str, address: str) -> bool:
        """Tell whether the user has this password.

        Raises RateLimited for an address that was wrong too often, and Busy when too many are being checked.
        """
        hashed = self._users.get(name)
        # With the hash in it, a password that was changed is not right for a moment longer.
        digest = hmac.digest(self._key, f"{name}\0{password}\0{hashed}".encode(), hashlib.sha256)
        if digest not in self._right and not await self._check(password, hashed, address_key(address)):
            return False
        self._right[digest] = True
        return True

    async def _check(self, password: str, hashed: str | None, client: str) -> bool:
        if self._failures.get(client, 0) >= FAILURES:
            raise RateLimited(
                f"too many wrong passwords from this address: try again in {FAILURE_SECONDS:.0f} s", FAILURE_SECONDS
            )
        if self._waiting >= _MAX_WAITING:
            raise Busy("too many passwords are being checked: try again", _BUSY_SECONDS)
        # Counted before it is known, or many could be tried at the same time.
        self._failures[client] = self._failures.get(client, 0) + 1
        self._waiting += 1
        try:
            highest = max(map(_cost, self._users.values()), default=_DEFAULT_COST)
            is_right = await executors.run(executors.PASSWORDS, check_password, password, hashed, highest)
        finally:
            self._waiting -= 1
        if is_right:
            self._failures[client] = self._failures.get(client, 1) - 1
        return is_right


def basic_auth(users: Mapping[str, str], timer: Callable[[], float] = time.monotonic) -> Middleware:
    """Make the middleware that lets in only these users and whoever is known otherwise; everybody while there are none.

    Health needs no identity, for probes have no credentials. Users may come and go, and get other passwords.
    """
    passwords = Passwords(users, timer)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_open = not users or (area_of(request) == HEALTH and request.path != "/")
        if is_open or identity_of(request) is not ANONYMOUS:
            return await handler(request)
        given = _credentials(request)
        if given is None:
            raise BadCredentials(_WANTED)
        if not await passwords.is_right(*given, request.remote or ""):
            audit_refusal(request, "wrong user or password")
            raise BadCredentials(_WANTED)
        set_identity(request, basic_identity(given[0]))
        return await handler(request)

    return check


def check_password(password: str, hashed: str | None, highest: int) -> bool:
    """Compare with a hash, None for an unknown user; it takes as long as with a hash of the highest cost."""
    # bcrypt itself refuses more than 72 bytes.
    text = password.encode()[:72]
    if hashed is None:
        bcrypt.checkpw(text, _no_hash(highest))
        return False
    is_right = bcrypt.checkpw(text, hashed.encode())
    # Each cost takes twice as long as the one below: together these make up for a lower one.
    for cost in range(_cost(hashed), highest):
        bcrypt.checkpw(text, _no_hash(cost))
    return is_right


def _cost(hashed: str) -> int:
    return int(hashed[4:6])


def _no_hash(cost: int) -> bytes:
    """Give a hash that is not of any password."""
    return f"$2b${cost:02}${'.' * 53}".encode()


def _credentials(request: web.Request) -> tuple[str, str] | None:
    """Read name and password; None for anything else than Basic credentials in UTF-8."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if scheme.lower() == "basic" and colon else None
