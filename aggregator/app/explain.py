"""`explain`: ask a running service how a job was judged, and print it.

Only the standard library: the command answers at once, and needs no configuration.
"""

import http.client
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from aggregator.app.errors import CommandError
from aggregator.app.explain_text import explanation_text, printable

_SECONDS: Final = 35.0
_LARGEST_BYTES: Final = 64 * 2**20
_ERROR_CHARACTERS: Final = 500
# What the caller can change, and where; with any other status the service does not answer.
_MISTAKES: Final = {
    400: "", 401: "--token.file: ", 403: "--token.file: ", 404: "",
}  # fmt: skip


class Unanswered(Exception):
    """The service cannot be reached, or has no answer now; the text says what to look at."""


def explain(cluster: str, job: str, *, url: str, token_file: Path | None, as_json: bool) -> None:
    """Print the explanation of a job.

    Raises CommandError for what the caller can change, and Unanswered.
    """
    token = _token(token_file) if token_file else None
    answer = _ask(_split(url), f"/api/v1/clusters/{quote(cluster, safe='')}/jobs/{quote(job, safe='')}/explain", token)
    print(json.dumps(answer, indent=2) if as_json else explanation_text(answer))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), None
    if not usable:
        raise CommandError(f'--url: must be like https://hpc.example.org:9850, got "{printable(url)}"')
    if parts.username is not None or parts.query or parts.fragment:
        raise CommandError("--url: must have no user, password, query or fragment; a token is in --token.file")
    return parts


def _token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--token.file: {file} cannot be read: {error}") from error
    if not (token and token.isascii() and token.isprintable()):
        raise CommandError(f"--token.file: {file} must hold one token in one line")
    return token


def _ask(url: SplitResult, path: str, token: str | None) -> Any:
    """Get an answer. Redirections are not followed: the token is for this service alone."""
    where = f"{url.scheme}://{url.netloc}"
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_SECONDS)
    try:
        connection.request("GET", url.path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read(_LARGEST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"--url: {where} does not answer: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    return _read(where, status, body)


def _read(where: str, status: int, body: bytes) -> Any:
    try:
        answer = json.loads(body)
        text = "" if status == http.client.OK else str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"--url: {where} is not hpc-aggregator: it answers {status} without its envelope") from None
    if status == http.client.OK:
        return answer
    text = printable(text[:_ERROR_CHARACTERS])
    if status in _MISTAKES:
        raise CommandError(f"{_MISTAKES[status]}{text}")
    raise Unanswered(f"--url: {where} answers {status}: {text}")
