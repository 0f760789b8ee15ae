"""The service's side of the contract: one batch in, what became of each script out."""

import asyncio
import base64
import gzip
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NoReturn
from urllib.parse import quote

import aiohttp
import msgspec

from aggregator.document.secrets import SecretFile
from jobscript_ingest.script import Key, Script
from jobscript_ingest.settings import FlagError, Target

_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=10)
_ANSWER_BYTES: Final = 2**20
_ERROR_CHARACTERS: Final = 200
# Answers of the 4xx kind that say nothing against a script: they are about who asks, where, how and when.
_NOT_THE_SCRIPT: Final = frozenset({401, 403, 404, 405, 407, 408, 411, 415, 421, 423, 425, 426, 429, 431, 451})


class SendError(Exception):
    """The service did not take a batch, but may later; `retry_after` is what it asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """The service will never take a batch as it is."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Stored(msgspec.Struct):
    job_id: int
    sha256: str


class _Rejected(msgspec.Struct):
    job_id: int
    sha256: str
    error: str = ""


class _Data(msgspec.Struct):
    stored: list[_Stored] = []
    rejected: list[_Rejected] = []


class _Answer(msgspec.Struct):
    data: _Data


class _Error(msgspec.Struct):
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the service did with the scripts of a batch."""

    stored: frozenset[Key]
    rejected: dict[Key, str]


class Service:
    """Post batches to hpc-aggregator; opened as an asynchronous context."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._url = f"{target.url.rstrip('/')}/api/v1/clusters/{quote(target.cluster, safe='')}/jobscripts"
        self._tls = _tls(target)

    async def __aenter__(self) -> "Service":
        connector = aiohttp.TCPConnector(ssl=self._tls or True, limit=1)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, batch: Sequence[Script]) -> Outcome:
        """Send a batch.

        Raises Refused when the scripts are at fault, SendError for everything else.
        """
        body = await asyncio.to_thread(_body, batch)
        headers = {
            "Authorization": f"Bearer {await asyncio.to_thread(read_token, self._target.token_file)}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        try:
            # A redirection would make a GET of the POST, or give the token to another host.
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                text = await response.content.read(_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendError(f"--aggregator.url: {self._url}: {str(error) or type(error).__name__}") from error
        if response.status == 200:
            return self._outcome(text)
        self._fail(response, text)

    def _outcome(self, text: bytes) -> Outcome:
        try:
            data = msgspec.json.decode(text, type=_Answer).data
        except msgspec.DecodeError as error:
            raise SendError(f"--aggregator.url: {self._url}: the answer is not hpc-aggregator's: {error}") from error
        return Outcome(
            stored=frozenset((item.job_id, item.sha256) for item in data.stored),
            rejected={(item.job_id, item.sha256): item.error for item in data.rejected},
        )

    def _fail(self, response: aiohttp.ClientResponse, text: bytes) -> NoReturn:
        said = f"{response.status} {response.reason}{_said(text)}"
        if response.status in (401, 403):
            raise SendError(
                f"--aggregator.token-file: {self._target.token_file} must hold a token with the scope "
                f"ingest:{self._target.cluster}: {self._url}: {said}"
            )
        if 400 <= response.status < 500 and response.status not in _NOT_THE_SCRIPT:
            raise Refused(response.status, said)
        hint = "is the address right, and does the service know the cluster? " if response.status == 404 else ""
        raise SendError(
            f"--aggregator.url: {hint}{self._url}: {said}", retry_after(response.headers.get("Retry-After"))
        )


def read_token(file: SecretFile) -> str:
    """Read the token anew.

    Raises SendError.
    """
    try:
        token = file.get().strip()
    except OSError as error:
        raise SendError(f"--aggregator.token-file: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SendError(f"--aggregator.token-file: {file} is not text") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SendError(f"--aggregator.token-file: {file} must hold one token and nothing else")
    return token


def retry_after(header: str | None) -> float | None:
    """Give the seconds of a Retry-After header, which may be a date; None when there are none."""
    if not header:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _tls(target: Target) -> ssl.SSLContext | None:
    if target.ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(target.ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "no certificate in it"
        raise FlagError(f"--aggregator.ca-file: cannot use {target.ca_file}: {reason}") from error


def _body(batch: Sequence[Script]) -> bytes:
    return gzip.compress(msgspec.json.encode({"scripts": [_written(script) for script in batch]}), compresslevel=3)


def _written(script: Script) -> dict[str, object]:
    return {
        "job_id": script.job_id,
        "written_at": script.written_at,
        "content_base64": base64.b64encode(script.content).decode(),
        "sha256": script.sha256,
        "size": script.size,
        "truncated": script.truncated,
        "redactions": script.redactions,
    }


def _said(text: bytes) -> str:
    """Quote the error of an answer in the Prometheus API's envelope."""
    try:
        error = msgspec.json.decode(text, type=_Error).error
    except msgspec.DecodeError:
        return ""
    return f": {error[:_ERROR_CHARACTERS]}" if error else ""
