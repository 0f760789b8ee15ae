"""Who asks: a token, a password of the web configuration, a user whom others vouch for, or nobody known."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

from aiohttp import web

from aggregator.api.errors import Unauthorized
from aggregator.api.tokens.file import MAX_NAME, TokenEntry
from aggregator.api.tokens.scope import METRICS, READ_ALL, READ_OWN

Kind = Literal["anonymous", "open", "token", "basic", "proxy", "jwt", "oidc", "certificate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks, and what that allows; staff may read everything. expires is epoch seconds."""

    kind: Kind
    name: str = ""
    token_id: str | None = None
    user: str | None = None
    scopes: frozenset[str] = frozenset()
    expires: float | None = None
    staff: bool = False

    def may(self, scope: str) -> bool:
        """Tell whether a scope is held; where no identity is needed, nobody lacks any."""
        return self.kind == "open" or scope in self.scopes or (self.staff and scope in (METRICS, READ_ALL))

    def __str__(self) -> str:
        return f"token {self.token_id} ({self.name})" if self.token_id else f"{self.kind} {self.name}".rstrip()


ANONYMOUS: Final = Identity(kind="anonymous")
_IDENTITY: Final = web.RequestKey("identity", Identity)
# Everybody who reaches an address whose areas are all open.
OPEN: Final = Identity(kind="open", scopes=frozenset({METRICS, READ_ALL}), staff=True)


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A proxy that names the user in a header; it is believed when it connects from one of the networks."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    header: str

    def is_peer(self, request: web.Request) -> bool:
        """Tell whether the request comes from the proxy: by the connection's address, which no header changes."""
        try:
            address = ip_address(request.remote or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)

    def identify(self, request: web.Request) -> Identity | None:
        """Give the user that the proxy names, None when it names none.

        Raises Unauthorized for a header that is no name.
        """
        names = request.headers.getall(self.header, [])
        if not names:
            return None
        # A second header may be the client's own, which the proxy passed on.
        if len(names) > 1 or not is_name(names[0]):
            raise Unauthorized(f"{self.header}: must name one user")
        return Identity(kind="proxy", name=names[0], user=names[0], scopes=frozenset({READ_OWN}))


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """Certificates of clients, which the TLS of the web configuration has verified: one attribute names the user."""

    attribute: str

    def identify(self, request: web.Request) -> Identity | None:
        """Give the user that the subject names, None without a certificate or without the attribute.

        Raises Unauthorized for a subject that does not name one user.
        """
        certificate = request.get_extra_info("peercert") or {}
        names = [value for part in certificate.get("subject", ()) for key, value in part if key == self.attribute]
        if not names:
            return None
        if len(names) > 1 or not is_name(names[0]):
            raise Unauthorized(f"client certificate: its subject must name one user in {self.attribute}")
        return Identity(kind="certificate", name=names[0], user=names[0], scopes=frozenset({READ_OWN}))


def is_name(text: str) -> bool:
    """Tell whether a text can be a user's name: a log, a terminal and the API show it as it is."""
    return bool(text) and text.isprintable() and len(text) <= MAX_NAME


def token_identity(entry: TokenEntry) -> Identity:
    """Give the identity of a valid token."""
    return Identity(
        kind="token",
        name=entry.name,
        token_id=entry.id,
        user=entry.user,
        scopes=frozenset(entry.scopes),
        expires=entry.expires,
        staff=READ_ALL in entry.scopes,
    )


def basic_identity(name: str) -> Identity:
    """Give the identity of somebody with a password of the web configuration: a service of the staff."""
    return Identity(kind="basic", name=name, scopes=frozenset({METRICS, READ_ALL}), staff=True)


def identity_of(request: web.Request) -> Identity:
    """Give the identity that the request was found to have."""
    return request[_IDENTITY]


def find_identity(request: web.Request) -> Identity | None:
    """Give the identity of a request, None where it was refused before one was found."""
    return request.get(_IDENTITY)


def set_identity(request: web.Request, identity: Identity) -> None:
    """Remember who asks."""
    request[_IDENTITY] = identity
