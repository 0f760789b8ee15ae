"""The code that an issuer has given to a browser becomes the token that says who that is."""

import asyncio
import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
import orjson

from aggregator.api.errors import Forbidden, TryAgain
from aggregator.api.jwt.fetch import LONGEST_READ_SECONDS, MAX_BYTES, fetch
from aggregator.api.oidc.issuer import Endpoints

_LONGEST_SAID: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A code, the verifier of who asked for it, and whose secret has to be shown for it."""

    code: str
    verifier: str
    redirect_uri: str
    client_id: str
    secret: str


async def redeem(grant: Grant, endpoints: Endpoints, ca_file: Path | None) -> str:
    """Give the ID token for a code.

    Raises Forbidden for a code that is refused, TryAgain when the issuer does not answer in time, or as it should.
    """
    form = {"grant_type": "authorization_code", "code": grant.code, "redirect_uri": grant.redirect_uri,
            "code_verifier": grant.verifier}  # fmt: skip
    headers = {"Accept": "application/json"}
    if endpoints.secret_in_header:
        login = f"{quote_plus(grant.client_id)}:{quote_plus(grant.secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    else:
        form |= {"client_id": grant.client_id, "client_secret": grant.secret}
    try:
        async with asyncio.timeout(LONGEST_READ_SECONDS):
            status, text = await fetch(endpoints.token, ca_file, form, headers)
    except (OSError, TimeoutError, aiohttp.ClientError) as error:
        raise TryAgain(f"auth.oidc: no code can be redeemed now: {str(error) or type(error).__name__}") from None
    return _token(status, _read(text))


def _read(text: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(text) if len(text) <= MAX_BYTES else None
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {}


def _token(status: int, answer: dict[str, Any]) -> str:
    if 400 <= status < 500:
        raise Forbidden(f"the issuer refuses the code: {said(answer.get('error'))}")
    token = answer.get("id_token")
    if status != 200 or not isinstance(token, str):
        raise TryAgain(f"auth.oidc: the issuer answers {status} without an ID token")
    return token


def said(text: object) -> str:
    """Give what others say of an error as it may be shown: short, and without what cannot be seen."""
    return "".join(each if each.isprintable() else "?" for each in str(text or "no reason is given")[:_LONGEST_SAID])
