"""What an issuer says of itself (OpenID Connect Discovery): where to sign in, where codes are taken, and its keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from aggregator.api.jwt.fetch import get
from aggregator.api.jwt.keys import PAUSE_SECONDS
from aggregator.document.types import is_private

_DOCUMENT: Final = "/.well-known/openid-configuration"
_BASIC: Final = "client_secret_basic"
_POST: Final = "client_secret_post"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an issuer is asked; a secret is shown in a header, or else in the form."""

    authorization: str
    token: str
    keys: str
    secret_in_header: bool
    names_itself: bool


@dataclass(slots=True)
class Issuer:
    """An issuer, whose keys are read together with what it says of itself."""

    url: str
    ca_file: Path | None
    interval: float
    endpoints: Endpoints | None = field(default=None, compare=False)

    @property
    def pause(self) -> float:
        """Give half a minute; a shorter interval is asked for."""
        return min(PAUSE_SECONDS, self.interval)

    async def read(self) -> bytes:
        """Read both; what was known of it stays when one of them cannot be read."""
        endpoints = read_endpoints(await get(self.url.rstrip("/") + _DOCUMENT, self.ca_file), self.url)
        keys = await get(endpoints.keys, self.ca_file)
        self.endpoints = endpoints
        return keys

    def __str__(self) -> str:
        return self.url


def read_endpoints(text: bytes, issuer: str) -> Endpoints:
    """Read the document of an issuer.

    Raises ValueError for one of another issuer, or without what is needed.
    """
    document = orjson.loads(text)
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise ValueError(f"{_DOCUMENT} is not of the issuer {issuer}: its issuer must be the same text")
    methods = document.get("token_endpoint_auth_methods_supported", [_BASIC])
    if not isinstance(methods, list) or not {_BASIC, _POST}.intersection(map(str, methods)):
        raise ValueError(f"{_DOCUMENT}: the issuer takes neither {_BASIC} nor {_POST}")
    return Endpoints(
        authorization=_address(document, "authorization_endpoint"),
        token=_address(document, "token_endpoint"),
        keys=_address(document, "jwks_uri"),
        secret_in_header=_BASIC in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: Mapping[str, Any], name: str) -> str:
    """Read an address, to which secrets go and from which keys come: nobody may read or change them on their way."""
    url = document.get(name)
    if not isinstance(url, str) or not is_private(url):
        raise ValueError(f"{_DOCUMENT}: {name} must begin with https://")
    return url
