"""The text of a bearer token: `hpca_<id>_<secret><checksum>`, which scanners for leaked secrets can recognise."""

import hashlib
import re
import zlib
from string import ascii_letters, ascii_lowercase, digits
from typing import Final

PREFIX: Final = "hpca_"
SECRET_BYTES: Final = 32
ID_LENGTH: Final = 8
ID_LETTERS: Final = digits + ascii_lowercase
_BASE62: Final = digits + ascii_letters
# 62^43 > 2^256, and 62^6 > 2^32.
_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6

# What a scanner looks for; `redact` rules may use it as it is.
TOKEN_PATTERN: Final = rf"{PREFIX}[0-9a-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}"
_FORM: Final = re.compile(TOKEN_PATTERN, re.ASCII)


class TokenError(ValueError):
    """The text is not a whole token; the error does not repeat it."""


def format_token(token_id: str, secret: bytes) -> str:
    """Write a token with the id in front and a checksum behind."""
    body = f"{PREFIX}{token_id}_{_base62(int.from_bytes(secret), _SECRET_LENGTH)}"
    return body + _checksum(body)


def token_id_of(text: str) -> str:
    """Give the id in a token, or raise TokenError: a token that was copied in part is told from a wrong one."""
    if _FORM.fullmatch(text) is None:
        raise TokenError("not a token of this service, which begins with hpca_")
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    if _checksum(body) != checksum:
        raise TokenError("the token's checksum is wrong: was it copied whole?")
    return text[5 : 5 + ID_LENGTH]


def hash_token(text: str) -> str:
    """Give what is kept of a token.

    A token has 256 random bits, which nobody can guess their way through: a slow hash as for passwords would make every
    request slow and nothing safer.
    """
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_BASE62))
        letters.append(_BASE62[digit])
    return "".join(reversed(letters))
