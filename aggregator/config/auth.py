"""Declare who is known to the service, and what they may see."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from aggregator.config.public import Pattern
from aggregator.document.secrets import SecretFilePath, SecretSource, SecretText
from aggregator.document.section import Section
from aggregator.document.types import (
    Duration,
    File,
    HeaderName,
    Interval,
    Names,
    Networks,
    NotEmpty,
    Text,
    Texts,
    Url,
    is_private,
    must_be,
    parse_duration,
    refused,
)

_MAX_LEEWAY_SECONDS: Final = 600.0
# Sessions are sealed with it: whoever has one could try short secrets until one opens it, and then make others.
SHORTEST_SECRET: Final = 32
# Signed with a private key only: with a symmetric algorithm, whoever can check a token can make one.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _check_leeway(seconds: float) -> float:
    if seconds > _MAX_LEEWAY_SECONDS:
        raise must_be("a duration up to 10m")
    return seconds


def _check_keys_url(text: str) -> str:
    """Refuse keys over plain HTTP: whoever can change them on their way can let everybody in."""
    if not is_private(text):
        raise refused("must begin with https://, for keys that are changed on their way let anybody in")
    return text


def _check_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if "openid" not in scopes:
        raise refused('must have "openid": without it the issuer says nothing of who signs in')
    return scopes


def _check_group(pattern: str) -> str:
    if re.compile(pattern).groups != 1:
        raise must_be(r'a pattern with one group, which is the user, such as "([^@]+)@example\.org"')
    return pattern


class Tokens(Section):
    """Name the file of hashed bearer tokens."""

    file: File


class SignedTokens(Section):
    """Say which tokens of an issuer are accepted, and which of their claims name user and groups."""

    issuer: Text
    jwks_interval: Interval = parse_duration("1h")
    ca_file: File | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(strict=False), NotEmpty] = ("RS256", "ES256")
    leeway: Annotated[Duration, AfterValidator(_check_leeway)] = parse_duration("30s")
    user_claim: Text = "sub"
    user_pattern: Annotated[Pattern, AfterValidator(_check_group)] | None = None
    groups_claim: Text | None = None


class Jwt(SignedTokens):
    """Accept the access tokens of a single sign-on."""

    audience: Names
    jwks_file: File | None = None
    jwks_url: Annotated[Url, AfterValidator(_check_keys_url)] | None = None
    header: HeaderName = "Authorization"

    @model_validator(mode="after")
    def _check_keys(self) -> "Jwt":
        if self.jwks_file is None and self.jwks_url is None:
            raise refused("needs the keys: jwks_url or jwks_file")
        if self.ca_file is not None and self.jwks_url is None:
            raise refused("ca_file has no effect without jwks_url")
        return self


class Oidc(SignedTokens):
    """Let people sign in to the pages at an issuer, by OpenID Connect's authorization code flow."""

    issuer: Annotated[Url, AfterValidator(_check_keys_url)]
    client_id: Text
    client_secret: SecretText | None = None
    client_secret_file: SecretFilePath | None = None
    scopes: Annotated[Names, AfterValidator(_check_scopes)] = ("openid", "profile")
    user_claim: Text = "preferred_username"

    @model_validator(mode="after")
    def _check_secret(self) -> "Oidc":
        if self.client_secret is None and self.client_secret_file is None:
            raise refused("needs the secret: client_secret_file or client_secret")
        if len(self.secret.get()) < SHORTEST_SECRET:
            raise refused(f"client_secret must have at least {SHORTEST_SECRET} characters, for it protects sessions")
        return self

    @property
    def secret(self) -> SecretSource:
        """Give the secret's source."""
        source = self.client_secret or self.client_secret_file
        assert source
        return source


class TrustedProxy(Section):
    """Believe a header that names the user, from listed networks only."""

    networks: Networks
    header: HeaderName


class ClientCertificates(Section):
    """Believe the subject of a client certificate that the web configuration has verified."""

    user: Literal["commonName", "userId", "emailAddress"]


class Staff(Section):
    """Name those who may see everything."""

    users: Texts = ()
    accounts: Texts = ()
    groups: Texts = ()


class Auth(Section):
    """Say who may read what."""

    anonymous: Annotated[tuple[Literal["health", "metrics", "clusters"], ...], Field(strict=False)] = ("health",)
    tokens: Tokens | None = None
    jwt: Jwt | None = None
    oidc: Oidc | None = None
    trusted_proxy: TrustedProxy | None = None
    client_certificates: ClientCertificates | None = None
    staff: Staff = Staff()
    members_see_members: bool = False

    @model_validator(mode="after")
    def _check_groups(self) -> "Auth":
        if self.staff.groups and not any(each and each.groups_claim for each in (self.jwt, self.oidc)):
            raise refused("staff.groups needs jwt.groups_claim or oidc.groups_claim, the claim that they are in")
        return self
