"""Declare who is known to the service, and what they may see."""

from typing import Annotated, Literal

from pydantic import Field

from aggregator.config.section import Section
from aggregator.config.types import File, HeaderName, Networks, Text, Texts


class Tokens(Section):
    """Name the file of hashed bearer tokens."""

    file: File


class Jwt(Section):
    """Say which access tokens are accepted."""

    issuer: Text
    audience: Text
    jwks_file: File
    user_claim: Text = "sub"


class TrustedProxy(Section):
    """Believe a header that names the user, from listed networks only."""

    networks: Networks
    header: HeaderName


class Staff(Section):
    """Name those who may see everything."""

    users: Texts = ()
    accounts: Texts = ()


class Auth(Section):
    """Say who may read what."""

    anonymous: Annotated[tuple[Literal["health", "metrics", "clusters"], ...], Field(strict=False)] = ("health",)
    tokens: Tokens | None = None
    jwt: Jwt | None = None
    trusted_proxy: TrustedProxy | None = None
    staff: Staff = Staff()
    members_see_members: bool = False
