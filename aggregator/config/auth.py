"""Declare who is known to the service, and what they may see."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from aggregator.config.public import Pattern
from aggregator.document.section import Section
from aggregator.document.types import (
    Duration,
    File,
    HeaderName,
    Interval,
    ListenAddress,
    Names,
    Networks,
    NotEmpty,
    Text,
    Texts,
    Url,
    must_be,
    parse_duration,
    refused,
    split_url,
)

_MAX_LEEWAY_SECONDS: Final = 600.0
# Signed with a private key only: with a symmetric algorithm, whoever can check a token can make one.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _check_leeway(seconds: float) -> float:
    if seconds > _MAX_LEEWAY_SECONDS:
        raise must_be("a duration up to 10m")
    return seconds


def _check_keys_url(text: str) -> str:
    """Refuse keys over plain HTTP: whoever can change them on their way can let everybody in."""
    url = split_url(text)
    if url is not None and url.scheme == "http" and not ListenAddress(url.hostname or "", 0).is_loopback:
        raise refused("must begin with https://, for keys that are changed on their way let anybody in")
    return text


def _check_group(pattern: str) -> str:
    if re.compile(pattern).groups != 1:
        raise must_be(r'a pattern with one group, which is the user, such as "([^@]+)@example\.org"')
    return pattern


class Tokens(Section):
    """Name the file of hashed bearer tokens."""

    file: File


class Jwt(Section):
    """Say which access tokens of a single sign-on are accepted, and which of their claims name user and groups."""

    issuer: Text
    audience: Names
    jwks_file: File | None = None
    jwks_url: Annotated[Url, AfterValidator(_check_keys_url)] | None = None
    jwks_interval: Interval = parse_duration("1h")
    ca_file: File | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(strict=False), NotEmpty] = ("RS256", "ES256")
    leeway: Annotated[Duration, AfterValidator(_check_leeway)] = parse_duration("30s")
    header: HeaderName = "Authorization"
    user_claim: Text = "sub"
    user_pattern: Annotated[Pattern, AfterValidator(_check_group)] | None = None
    groups_claim: Text | None = None

    @model_validator(mode="after")
    def _check_keys(self) -> "Jwt":
        if self.jwks_file is None and self.jwks_url is None:
            raise refused("needs the keys: jwks_url or jwks_file")
        if self.ca_file is not None and self.jwks_url is None:
            raise refused("ca_file has no effect without jwks_url")
        return self


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
    trusted_proxy: TrustedProxy | None = None
    client_certificates: ClientCertificates | None = None
    staff: Staff = Staff()
    members_see_members: bool = False

    @model_validator(mode="after")
    def _check_groups(self) -> "Auth":
        if self.staff.groups and (self.jwt is None or self.jwt.groups_claim is None):
            raise refused("staff.groups needs jwt.groups_claim, which names the claim that they are in")
        return self
