"""What `auth` and the web configuration open, and to whom."""

from aggregator.api import ApiSettings
from aggregator.api.access import AREAS, HEALTH
from aggregator.api.identity import ClientCertificates, TrustedProxy
from aggregator.api.jwt import AccessTokens, KeyFile, KeyPlace, KeySet, KeyUrl, TokenRules
from aggregator.api.tokens import TokenStore
from aggregator.api.visibility import Rules
from aggregator.app.http import StartError
from aggregator.config import Auth, Jwt, ListenAddress, WebConfig


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


def configure_auth(settings: ApiSettings, auth: Auth) -> None:
    """Bring the ways to be known up to date; tokens of the same file stay known, should it be broken now."""
    file = auth.tokens.file if auth.tokens else None
    if file != (settings.tokens.file if settings.tokens else None):
        settings.tokens = TokenStore(file) if file else None
    _configure_access_tokens(settings, auth)
    proxy = auth.trusted_proxy
    settings.proxy = TrustedProxy(proxy.networks, proxy.header) if proxy else None
    certificates = auth.client_certificates
    settings.certificates = ClientCertificates(certificates.user) if certificates else None
    settings.rules = rules_of(auth)


def _configure_access_tokens(settings: ApiSettings, auth: Auth) -> None:
    """Accept the access tokens that the section describes; the keys of the same place stay known."""
    if auth.jwt is None:
        settings.access_tokens = None
        return
    place, before = _place_of(auth.jwt), settings.access_tokens
    keys = before.keys if before and before.keys.place == place else KeySet(place)
    settings.access_tokens = AccessTokens(_rules_of_tokens(auth.jwt, frozenset(auth.staff.groups)), keys)


def _place_of(section: Jwt) -> KeyPlace:
    if section.jwks_file:
        return KeyFile(section.jwks_file)
    return KeyUrl(section.jwks_url or "", section.ca_file, section.jwks_interval)


def _rules_of_tokens(section: Jwt, staff_groups: frozenset[str]) -> TokenRules:
    return TokenRules(
        issuer=section.issuer,
        audience=section.audience,
        algorithms=section.algorithms,
        leeway=section.leeway,
        header=section.header,
        user_claim=section.user_claim,
        user_pattern=section.user_pattern,
        groups_claim=section.groups_claim,
        staff_groups=staff_groups,
    )


def rules_of(auth: Auth) -> Rules:
    """Read who is staff, and what members of an account see of each other."""
    return Rules(
        staff_users=frozenset(auth.staff.users),
        staff_accounts=frozenset(auth.staff.accounts),
        members_see_members=auth.members_see_members,
    )


def _asks_for_certificates(web_config: WebConfig) -> bool:
    """Tell whether every client has to show a certificate."""
    tls = web_config.tls_server_config
    return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"
