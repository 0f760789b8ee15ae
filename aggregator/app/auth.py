"""The ways to be known to the service, as `auth` has them."""

from aggregator.api.identity import ClientCertificates, TrustedProxy
from aggregator.api.jwt import AccessTokens, KeyFile, KeyPlace, KeySet, KeyUrl, SignedTokens, TokenRules
from aggregator.api.keys import ApiSettings
from aggregator.api.oidc import Client, Issuer, SingleSignOn
from aggregator.api.tokens.store import TokenStore
from aggregator.api.visibility import Rules
from aggregator.config import Auth, Jwt, Oidc, Staff


def configure_auth(settings: ApiSettings, auth: Auth) -> None:
    """Bring the ways to be known up to date; tokens of the same file stay known, should it be broken now."""
    file = auth.tokens.file if auth.tokens else None
    if file != (settings.ways.tokens.file if settings.ways.tokens else None):
        settings.ways.tokens = TokenStore(file) if file else None
    _configure_access_tokens(settings, auth)
    _configure_single_sign_on(settings, auth)
    proxy = auth.trusted_proxy
    settings.ways.proxy = TrustedProxy(proxy.networks, proxy.header) if proxy else None
    certificates = auth.client_certificates
    settings.ways.certificates = ClientCertificates(certificates.user) if certificates else None
    settings.rules = rules_of(auth)


def _configure_access_tokens(settings: ApiSettings, auth: Auth) -> None:
    """Accept the access tokens that the section describes; the keys of the same place stay known."""
    if auth.jwt is None:
        settings.ways.access_tokens = None
        return
    place, before = _place_of(auth.jwt), settings.ways.access_tokens
    keys = before.keys if before and before.keys.place == place else KeySet(place)
    settings.ways.access_tokens = AccessTokens(_rules_of_tokens(auth.jwt, auth.staff), keys, auth.jwt.header)


def _configure_single_sign_on(settings: ApiSettings, auth: Auth) -> None:
    """Let people sign in at the issuer that the section describes; what is known of the same issuer stays known."""
    section, before = auth.oidc, settings.ways.single_sign_on
    if section is None:
        settings.ways.single_sign_on = None
        return
    issuer = Issuer(section.issuer, section.ca_file, section.jwks_interval)
    keys = KeySet(issuer, section="auth.oidc")
    if before and before.issuer == issuer:
        issuer, keys = before.issuer, before.tokens.keys
    client = Client(
        client_id=section.client_id, secret=section.secret, scopes=section.scopes, external_url=settings.external_url
    )
    settings.ways.single_sign_on = SingleSignOn(
        client, issuer, SignedTokens(_rules_of_tokens(section, auth.staff), keys)
    )


def _place_of(section: Jwt) -> KeyPlace:
    if section.jwks_file:
        return KeyFile(section.jwks_file)
    return KeyUrl(section.jwks_url or "", section.ca_file, section.jwks_interval)


def _rules_of_tokens(section: Jwt | Oidc, staff: Staff) -> TokenRules:
    is_jwt = isinstance(section, Jwt)
    return TokenRules(
        section="auth.jwt" if is_jwt else "auth.oidc",
        audience_key="audience" if is_jwt else "client_id",
        called="access token" if is_jwt else "ID token",
        issuer=section.issuer,
        audience=section.audience if isinstance(section, Jwt) else (section.client_id,),
        algorithms=section.algorithms,
        leeway=section.leeway,
        user_claim=section.user_claim,
        user_pattern=section.user_pattern,
        groups_claim=section.groups_claim,
        staff_groups=frozenset(staff.groups),
    )


def rules_of(auth: Auth) -> Rules:
    """Read who is staff, and what members of an account see of each other."""
    return Rules(
        staff_users=frozenset(auth.staff.users),
        staff_accounts=frozenset(auth.staff.accounts),
        members_see_members=auth.members_see_members,
    )
