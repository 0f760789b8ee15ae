"""Sessions of pages: a cookie in place of the token that was typed into the form.

The cookie is the token itself, sealed with a key that is made of the token's hash, which every replica has in its file
of tokens. So a session holds at each replica and after a restart, without a secret that replicas would have to share
or a table that they would have to keep. Who reads the file alone can make no cookie, for there is no token in it; who
has a cookie alone cannot take the token out of it. A token that is revoked, or has expired, ends its sessions at once.
"""

import base64
import binascii
import os
import struct
from typing import Final

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aggregator.api.errors import InvalidToken
from aggregator.api.tokens.file import TokenEntry
from aggregator.api.tokens.store import TokenStore
from aggregator.model.token import ID_LENGTH

COOKIE: Final = "hpca_session"
SECONDS: Final = 12 * 3600.0
_NONCE: Final = 12
_EXPIRES: Final = struct.Struct(">d")
_LONGEST: Final = 512
# A cookie is sent by the browser, whoever has made it ask: it lets read, and do nothing.
_READS: Final = frozenset({"GET", "HEAD"})


async def begin(tokens: TokenStore, token: str, now: float) -> tuple[str, TokenEntry]:
    """Give the cookie of a new session for a token, and the token's entry.

    Raises InvalidToken.
    """
    entry = await tokens.authenticate(token, now)
    nonce, about = os.urandom(_NONCE), entry.id.encode()
    sealed = _cipher(entry).encrypt(nonce, _EXPIRES.pack(now + SECONDS) + token.encode(), about)
    return base64.urlsafe_b64encode(about + nonce + sealed).decode(), entry


async def resume(tokens: TokenStore, cookie: str, now: float) -> TokenEntry | None:
    """Give the token that a cookie is a session of; None for one that is over, or that is none of ours."""
    try:
        raw = base64.b64decode(cookie[:_LONGEST], altchars=b"-_", validate=True)
        about = raw[:ID_LENGTH].decode("ascii")
    except (binascii.Error, ValueError):
        return None
    entry = await tokens.find(about)
    if entry is None:
        return None
    nonce, sealed = raw[ID_LENGTH : ID_LENGTH + _NONCE], raw[ID_LENGTH + _NONCE :]
    try:
        opened = _cipher(entry).decrypt(nonce, sealed, about.encode())
        (expires,) = _EXPIRES.unpack_from(opened)
        token = opened[_EXPIRES.size :].decode("ascii")
        return await tokens.authenticate(token, now) if now < expires else None
    except (InvalidTag, InvalidToken, ValueError, struct.error):
        return None


def shown_by(request: web.Request) -> str | None:
    """Give the cookie of a request that may use it."""
    return request.cookies.get(COOKIE) if request.method in _READS else None


def _cipher(entry: TokenEntry) -> AESGCM:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hpc-aggregator session").derive(entry.hash.encode())
    return AESGCM(key)
