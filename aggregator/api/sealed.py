"""What a browser keeps for the service and can neither read nor change: each for one purpose, and for some time."""

import base64
import binascii
import os
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE: Final = 12
_EXPIRES: Final = struct.Struct(">d")


class Seal:
    """Seal with a key that is made of a secret: who has not got it can make nothing that opens.

    What is sealed for one purpose does not open for another.
    """

    def __init__(self, secret: str, purpose: str) -> None:
        self._cipher = AESGCM(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())
        )

    def close(self, content: bytes, until: float, about: bytes = b"") -> bytes:
        """Seal content that holds until an epoch time; what it is about is not in it, and has to be said to open it."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, _EXPIRES.pack(until) + content, about)

    def open(self, sealed: bytes, now: float, about: bytes = b"") -> tuple[bytes, float] | None:
        """Give the content and until when it holds; None for what is over, or not sealed by us."""
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
            (until,) = _EXPIRES.unpack_from(opened)
        except (InvalidTag, ValueError, struct.error):
            return None
        return (opened[_EXPIRES.size :], until) if now < until else None


def to_cookie(raw: bytes) -> str:
    """Write bytes as a cookie."""
    return base64.urlsafe_b64encode(raw).decode()


def from_cookie(cookie: str, longest: int) -> bytes:
    """Read a cookie, b"" for one that is not ours."""
    try:
        return base64.b64decode(cookie[:longest], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
