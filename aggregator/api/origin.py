"""Requests that a web page makes its reader's browser send: by a name that is not ours, or to change something.

DNS rebinding: a page lets its own name lead to this service, and then reads it as if it were its own. The browser then
says that name in Host. It can neither add a token or a password, nor have a certificate of TLS accepted, nor do so with
an address in place of a name: such requests need no check.
"""

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from aggregator.api.access import HEALTH, METRICS, area_of
from aggregator.api.bounds import Refuse
from aggregator.api.errors import ApiError, Forbidden, Misdirected
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS

# Each client says the same name again and again; a name may be as long as a header.
_CACHED: Final = 128
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
# Those who did not show a secret: everybody, or a user whom only a header names.
_WITHOUT_SECRET: Final = frozenset({"anonymous", "open", "proxy"})


def own_names(external_url: str, listen_hosts: Iterable[str], allowed: Iterable[str]) -> frozenset[str]:
    """Give the names under which clients may ask: those that are configured, this machine's and loopback's."""
    machine = socket.gethostname()
    names = (*_LOOPBACK, machine, machine.partition(".")[0], *listen_hosts, _host_of(external_url), *allowed)
    return frozenset(name.lower() for name in names if name)


def check_origin(refuse: Refuse) -> Middleware:
    """Make the middleware that refuses what a foreign web page makes a browser send."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        mistake = _wrong_host(request) or _wrong_origin(request)
        if mistake is not None:
            refuse("origin" if isinstance(mistake, Forbidden) else "host")
            raise mistake
        return await handler(request)

    return check


def _wrong_host(request: web.Request) -> ApiError | None:
    area, origins = area_of(request), request.app[SETTINGS].origins
    # Prometheus scrapes by any name of the machine; who can reach that address needs no rebinding.
    is_open = area == HEALTH or (area == METRICS and not origins.is_local)
    if is_open or request.secure or identity_of(request).kind not in _WITHOUT_SECRET:
        return None
    host = _host_of(f"//{request.headers.get('Host', '')}")
    if not host or _is_address(host) or host in origins.hosts:
        return None
    return Misdirected(f'Host: "{host[:100]}" is not a name of this service; see docs/configuration.md: allowed_hosts')


def _wrong_origin(request: web.Request) -> ApiError | None:
    origin = request.headers.get("Origin")
    if request.method in _READS or origin is None:
        return None
    # The names of the same machine at another port are other sites' as well.
    settings = request.app[SETTINGS]
    same = {_site(f"//{request.headers.get('Host', '')}"), _site(settings.external_url)} - {""}
    if _site(origin) in same:
        return None
    return Forbidden("Origin: a page of another site may not change anything here")


@lru_cache(_CACHED)
def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return "?"


def _site(url: str) -> str:
    """Give host and port; a scheme's own port is as good as none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    return f"{parts.hostname}:{port}" if port not in (None, 80, 443) else parts.hostname or ""


@lru_cache(_CACHED)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
