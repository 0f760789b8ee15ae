"""Find the token that a request carries; the file is read again when it changes, so that revoking needs no restart."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from aggregator import executors
from aggregator.api.errors import InvalidToken
from aggregator.api.tokens.file import TokenEntry, TokenFileError, read_tokens
from aggregator.model.moment import rfc3339
from aggregator.model.token import TokenError, hash_token, token_id_of

_log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
_NO_HASH = hash_token("")


class TokenStore:
    """Know the tokens of one file; a file that cannot be read leaves those that were known."""

    def __init__(self, file: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.file = file
        self.error = ""
        self._monotonic = monotonic
        self._entries: dict[str, TokenEntry] = {}
        self._stamp: tuple[int, ...] | None = None
        self._checked: float | None = None
        self._lock = asyncio.Lock()

    async def authenticate(self, text: str, now: float) -> TokenEntry:
        """Give the entry of a token that is valid at epoch time `now`.

        Raises InvalidToken, whose text names at most the token's id.
        """
        try:
            token_id = token_id_of(text)
        except TokenError as error:
            raise InvalidToken(str(error)) from None
        await self.refresh()
        entry = self._entries.get(token_id)
        if not hmac.compare_digest(hash_token(text), entry.hash if entry else _NO_HASH) or entry is None:
            raise InvalidToken(f"token {token_id}: not known here")
        if entry.revoked is not None:
            raise InvalidToken(f"token {token_id} was revoked on {rfc3339(entry.revoked)}")
        if entry.state(now) == "expired":
            raise InvalidToken(f"token {token_id} expired on {rfc3339(entry.expires)}")
        return entry

    async def find(self, token_id: str) -> TokenEntry | None:
        """Give the entry with an id, whether or not it is valid; None where there is none."""
        await self.refresh()
        return self._entries.get(token_id)

    async def active(self, now: float) -> int:
        """Count the tokens that may be used."""
        await self.refresh()
        return sum(entry.state(now) == "active" for entry in self._entries.values())

    async def refresh(self) -> None:
        """Read the file if it has changed, and look for that once a second at most."""
        async with self._lock:
            if self._checked is not None and self._monotonic() - self._checked < CHECK_SECONDS:
                return
            self._tell(await executors.run(executors.FILES, self._read))
            self._checked = self._monotonic()

    def _read(self) -> str:
        """Read the file in a thread, and give what is wrong with it."""
        try:
            status = self.file.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._stamp:
                return self.error
            # Before the reading: once is enough to know that this content is wrong.
            self._stamp = stamp
            entries = read_tokens(self.file)
        except OSError as error:
            self._stamp = None
            return f"auth.tokens.file: cannot read {self.file}: {error.strerror}"
        except TokenFileError as error:
            return f"auth.tokens.file: {error}"
        self._entries = {entry.id: entry for entry in entries}
        return ""

    def _tell(self, error: str) -> None:
        if error and error != self.error:
            _log.error("the tokens stay as they were: error=%s", error)
        self.error = error
