"""What `auth` and the web configuration open to those without an identity."""

from aggregator.api.areas import AREAS, HEALTH
from aggregator.app.errors import StartError
from aggregator.config import Auth, ListenAddress, WebConfig


def open_areas(address: ListenAddress, auth: Auth | None, web_config: WebConfig | None) -> frozenset[str]:
    """Tell which areas need no identity: those that `auth` says, on every address.

    A web configuration with passwords makes everybody show one, or a token. Without `auth`, all areas are open on
    loopback, and to those with a certificate that the web configuration requires.

    Raises StartError without `auth` on an address that others can reach.
    """
    if web_config and web_config.basic_auth_users:
        # To those with a password everything is open, and to those with a token what the token says.
        return frozenset({HEALTH})
    if auth is not None:
        return frozenset(auth.anonymous) & AREAS
    if address.is_loopback or (web_config and _asks_for_certificates(web_config)):
        return AREAS
    raise StartError(
        f"server.listen_address: {address} can be reached from other machines and no auth is configured: job "
        "names, users and quotas would be open to everyone. Listen on 127.0.0.1, let only known clients in by "
        "--web.config.file, or configure auth (auth: {tokens: {file: tokens.yml}} opens /-/healthy and /-/ready only, "
        "and the rest to bearer tokens)"
    )


def openness(areas: frozenset[str], address: ListenAddress) -> str:
    """Say that a service without `auth` is open, "" for one that is not."""
    if areas != AREAS:
        return ""
    if address.is_loopback:
        return f"open: no auth is configured, everybody on this machine can read and change everything at {address}"
    return f"open: no auth is configured, every client with a certificate can read and change everything at {address}"


def _asks_for_certificates(web_config: WebConfig) -> bool:
    """Tell whether every client has to show a certificate."""
    tls = web_config.tls_server_config
    return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"
