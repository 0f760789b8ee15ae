"""Sessions of pages: a cookie in place of the token that was typed into the form.

The cookie is the token itself, sealed with a key that is made of the token's hash, which every replica has in its file
of tokens. So a session holds at each replica and after a restart, without a secret that replicas would have to share
or a table that they would have to keep. Who reads the file alone can make no cookie, for there is no token in it; who
has a cookie alone cannot take the token out of it. A token that is revoked, or has expired, ends its sessions at once.
"""

from typing import Final

from aiohttp import web

from aggregator.api.errors import InvalidToken
from aggregator.api.sealed import Seal, from_cookie, to_cookie
from aggregator.api.tokens.file import TokenEntry
from aggregator.api.tokens.store import TokenStore
from aggregator.model.token import ID_LENGTH

COOKIE: Final = "hpca_session"
SECONDS: Final = 12 * 3600.0
_LONGEST: Final = 512
# A cookie is sent by the browser, whoever has made it ask: it lets read, and do nothing.
_READS: Final = frozenset({"GET", "HEAD"})


async def begin(tokens: TokenStore, token: str, now: float) -> tuple[str, TokenEntry]:
    """Give the cookie of a new session for a token, and the token's entry.

    Raises InvalidToken.
    """
    entry = await tokens.authenticate(token, now)
    about = entry.id.encode()
    return to_cookie(about + _seal(entry).close(token.encode(), now + SECONDS, about)), entry


async def resume(tokens: TokenStore, cookie: str, now: float) -> TokenEntry | None:
    """Give the token that a cookie is a session of; None for one that is over, or that is none of ours."""
    raw = from_cookie(cookie, _LONGEST)
    about = raw[:ID_LENGTH]
    entry = await tokens.find(about.decode("latin-1"))
    opened = _seal(entry).open(raw[ID_LENGTH:], now, about) if entry else None
    if opened is None:
        return None
    try:
        return await tokens.authenticate(opened[0].decode("ascii"), now)
    except (InvalidToken, ValueError):
        return None


def shown_by(request: web.Request) -> str | None:
    """Give the cookie of a request that may use it."""
    return request.cookies.get(COOKIE) if request.method in _READS else None


def _seal(entry: TokenEntry) -> Seal:
    return Seal(entry.hash, "hpc-aggregator session")
