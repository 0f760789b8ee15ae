"""The public keys that sign access tokens (a JWKS, RFC 7517): read from a file or a URL, kept, and read again."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from aggregator import executors
from aggregator.api.errors import TryAgain
from aggregator.api.jwt.fetch import LONGEST_READ_SECONDS, MAX_BYTES, get

_log = logging.getLogger(__name__)
# While the place of the keys does not answer, those that were read are believed for so long.
LONGEST_SECONDS: Final = 86_400.0
_MAX_KEYS: Final = 100
# Anybody can send tokens with unknown keys: for these they are read again twice a minute at most.
PAUSE_SECONDS: Final = 30.0
# Keys with which a signature can be checked and not made.
_PUBLIC: Final = frozenset({"RSA", "EC", "OKP"})
_MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithm of its signatures: the one that the set names, or any that go with its type."""

    public: Any
    type: str
    algorithm: str | None = None


class KeysUnavailable(TryAgain):
    """No keys could be read, so that no token can be checked now."""


class KeyPlace(Protocol):
    """Where keys are; they are read again after interval seconds, and for a new key after pause seconds at most."""

    @property
    def interval(self) -> float:
        """Give the seconds between two readings."""
        ...

    @property
    def pause(self) -> float:
        """Give the seconds after a reading before the next, whatever is asked for."""
        ...

    async def read(self) -> bytes:
        """Read the keys, or raise OSError, ValueError, TimeoutError or aiohttp's ClientError."""
        ...


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with keys, which costs little to read."""

    file: Path
    interval: float = 1.0
    pause: float = 1.0

    async def read(self) -> bytes:
        """Read the file."""
        return await executors.run(executors.FILES, self._read)

    def _read(self) -> bytes:
        with self.file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)

    def __str__(self) -> str:
        return str(self.file)


@dataclass(frozen=True, slots=True)
class KeyUrl:
    """A URL with keys; redirections are not followed."""

    url: str
    ca_file: Path | None
    interval: float

    @property
    def pause(self) -> float:
        """Give half a minute; a shorter interval is asked for."""
        return min(PAUSE_SECONDS, self.interval)

    async def read(self) -> bytes:
        """Ask for the keys."""
        return await get(self.url, self.ca_file)

    def __str__(self) -> str:
        return self.url


class KeySet:
    """Keep the keys of one place; a place that cannot be read leaves those that were known.

    `section` of the configuration names it. A reading may take `timeout` seconds.
    """

    def __init__(
        self,
        place: KeyPlace,
        monotonic: Callable[[], float] = time.monotonic,
        timeout: float = LONGEST_READ_SECONDS,
        section: str = "auth.jwt",
    ) -> None:
        self.place = place
        self._timeout = timeout
        self._section = section
        self.error = ""
        self._monotonic = monotonic
        self._keys: Mapping[str, SigningKey] = {}
        self._tried: float | None = None
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Count the keys that are known."""
        return len(self._keys)

    def read_soon(self) -> None:
        """Begin to read, so that what is wrong with the place is told before the first token comes."""
        self._read_when_due(is_known=False)

    async def find(self, key_id: str) -> SigningKey | None:
        """Give the key of that id, None when there is none: an unknown one is looked for, but not at every request.

        Raises KeysUnavailable.
        """
        await self._read_first(is_known=key_id in self._keys)
        return self._keys.get(key_id)

    async def ready(self) -> None:
        """Wait until the place has been read, where it has not.

        Raises KeysUnavailable.
        """
        await self._read_first(is_known=bool(self._keys))

    async def _read_first(self, *, is_known: bool) -> None:
        """Read for what is not known; what is known does not wait."""
        reading = self._read_when_due(is_known=is_known)
        if reading and not is_known:
            # One reading serves all who wait, and goes on when one of them leaves.
            await asyncio.wait({reading})
        if self._read_at is None or self._monotonic() - self._read_at > LONGEST_SECONDS:
            raise KeysUnavailable(
                f"{self._section}: no token can be checked now, the keys cannot be read: {self.error}"
            )

    def _read_when_due(self, *, is_known: bool) -> asyncio.Task[None] | None:
        """Start to read when it is time; give the reading that is under way."""
        if self._reading is None or self._reading.done():
            now = self._monotonic()
            wait = self.place.interval if is_known and not self.error else self.place.pause
            if self._tried is not None and now - self._tried < wait:
                return None
            self._tried = now
            self._reading = asyncio.create_task(self._read(), name="jwks")
        return self._reading

    async def _read(self) -> None:
        try:
            # Also of a file: a thread may not be free, or its disk away.
            async with asyncio.timeout(self._timeout):
                self._keys = read_keys(await self.place.read())
        except (OSError, ValueError, TimeoutError, aiohttp.ClientError) as error:
            self._tell(f"{self.place}: {str(error) or type(error).__name__}")
            return
        self._read_at = self._monotonic()
        self._tell("")

    def _tell(self, error: str) -> None:
        """Log a failure once, and its end."""
        if error and not self.error:
            _log.warning("%s: keys not read, those that were known stay: error=%s", self._section, error)
        elif self.error and not error:
            _log.info("%s: keys are read again: place=%s keys=%d", self._section, self.place, len(self._keys))
        self.error = error


def read_keys(text: bytes) -> Mapping[str, SigningKey]:
    """Read the public signing keys of a JWKS by their ids, without those that are of no use here.

    Raises ValueError.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    document = orjson.loads(text)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise ValueError(f'not a JWKS: {{"keys": […]}} with at most {_MAX_KEYS} keys')
    keys = {each["kid"]: key for each in listed if (key := _read_key(each))}
    if not keys:
        raise ValueError("no public signing key with an id (kid) in it")
    return keys


def _read_key(listed: Any) -> SigningKey | None:
    """Read one key, None for one that is secret, for encryption, without an id, weak or not understood."""
    if not isinstance(listed, dict) or not isinstance(listed.get("kid"), str) or listed.get("kty") not in _PUBLIC:
        return None
    if listed.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(listed)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if listed["kty"] == "RSA" and key.key.key_size < _MIN_RSA_BITS:
        return None
    return SigningKey(key.key, listed["kty"], listed.get("alg"))
