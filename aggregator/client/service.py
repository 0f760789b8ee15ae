"""Ask a running service: the standard library, and one time limit over names, TLS and the whole answer."""

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from aggregator.client.errors import ClientError, Misused, Refused, Unreachable
from aggregator.client.printable import printable
from aggregator.client.settings import Where

_LARGEST_BYTES: Final = 64 * 2**20
_ERROR_CHARACTERS: Final = 500
_PIECE_BYTES: Final = 65_536
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# With any other status the service does not answer.
_ENDS: Final[dict[int, type[ClientError]]] = {400: Misused, 401: Refused, 403: Refused, 404: Refused, 405: Misused}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A path below /api/v1, with its parameters."""

    path: str
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        query = urlencode(self.parameters)
        return f"/api/v1{self.path}{'?' if query else ''}{query}"

    def having(self, **parameters: str) -> "Call":
        """Give the same with other values of some parameters."""
        rest = (each for each in self.parameters if each[0] not in parameters)
        return Call(self.path, (*rest, *parameters.items()))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answers, and what is missing from it."""

    data: Any
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Api:
    """A service, which must answer everything that one command asks within the time limit."""

    where: Where
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.where.timeout

    def ask(self, asked: Call) -> Answer:
        """Ask one thing.

        Raises ClientError.
        """
        (found,) = self.ask_all([asked])
        if isinstance(found, ClientError):
            raise found
        return found

    def ask_all(self, asked: Sequence[Call]) -> list[Answer | ClientError]:
        """Ask several things at the same time; give of each what came of it.

        Raises Unreachable.
        """
        found = self._within([lambda each=each: self._answer(each) for each in asked])  # type: ignore[misc]
        for each in found:
            if isinstance(each, Unreachable) and len(found) == sum(isinstance(one, Unreachable) for one in found):
                raise each
        return found

    def csv(self, asked: Call) -> Iterator[bytes]:
        """Give a list as CSV, piece by piece; the time limit is for its beginning, and for each piece.

        Raises ClientError.
        """
        (response,) = self._within([lambda: self._open(asked, "text/csv")])
        if isinstance(response, ClientError):
            raise response
        with response:
            try:
                while piece := response.read(_PIECE_BYTES):
                    yield piece
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(self._silent(error)) from error

    def _within(self, calls: Sequence[Callable[[], T]]) -> list[T | ClientError]:
        """Make calls in threads that nobody waits for longer than the time limit: looking up a name has none."""
        found: dict[int, T | ClientError] = {}

        def call(number: int, each: Callable[[], T]) -> None:
            try:
                found[number] = each()
            except ClientError as error:
                found[number] = error

        threads = [threading.Thread(target=call, args=each, daemon=True) for each in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._until - time.monotonic()))
        late = Unreachable(f"{self.where.named} does not answer within {self.where.timeout:g} s")
        return [found.get(number, late) for number in range(len(calls))]

    def _answer(self, asked: Call) -> Answer:
        with self._open(asked, "application/json") as response:
            try:
                body = response.read(_LARGEST_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(self._silent(error)) from error
        try:
            answer = json.loads(body)
            return Answer(answer["data"], tuple(map(str, answer.get("warnings", ()))))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._another(response.status) from None

    def _open(self, asked: Call, accept: str) -> http.client.HTTPResponse:
        """Send a request. Redirections are not followed: the token is for this service alone."""
        headers = {"Accept": accept, "Connection": "close", "User-Agent": "hpc-aggregator"}
        if self.where.token:
            headers["Authorization"] = f"Bearer {self.where.token}"
        connection, before = self._connection()
        try:
            connection.request("GET", before + self.where.url.path.rstrip("/") + str(asked), headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            raise Unreachable(self._silent(error)) from error
        if connection.sock:
            # The response has the socket too, and closes it.
            connection.sock.close()
        if response.status != http.client.OK:
            with response:
                raise self._refusal(response)
        return response

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        """Connect, through the proxy of the environment where there is one; give what comes before a path then."""
        url = self.where.url
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        proxy = None if host in _LOCAL else _proxy(url.scheme, host)
        seconds = max(0.01, self._until - time.monotonic())
        to = proxy or (host, port)
        if url.scheme == "http":
            return http.client.HTTPConnection(*to, timeout=seconds), f"http://{url.netloc}" if proxy else ""
        connection = http.client.HTTPSConnection(*to, timeout=seconds, context=_context(self.where.ca_file))
        if proxy:
            connection.set_tunnel(host, port)
        return connection, ""

    def _refusal(self, response: http.client.HTTPResponse) -> ClientError:
        try:
            text = str(json.loads(response.read(_LARGEST_BYTES))["error"])
        except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
            return self._another(response.status)
        text, kind = printable(text[:_ERROR_CHARACTERS]), _ENDS.get(response.status)
        return kind(text) if kind else Unreachable(f"{self.where.named} answers {response.status}: {text}")

    def _another(self, status: int) -> ClientError:
        what = f"{self.where.named} is not hpc-aggregator: it answers {status} without its envelope"
        return Unreachable(what) if status >= http.client.INTERNAL_SERVER_ERROR else Misused(f"--url: {what}")

    def _silent(self, error: Exception) -> str:
        return f"{self.where.named} does not answer: {printable(str(error)) or type(error).__name__}"


def named(name: str) -> str:
    """Write a name as one part of a path."""
    return quote(name, safe="")


def _context(ca_file: str | None) -> Any:
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Misused(f"--ca-file: {ca_file} cannot be read: {error.strerror or error}") from error


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    """Find the proxy as curl does: `http_proxy`, `https_proxy`, `no_proxy`."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass

    address = getproxies_environment().get(scheme)
    if not address or proxy_bypass(host):
        return None
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        return parts.hostname or "", parts.port or 3128
    except ValueError:
        raise Misused(f"{scheme}_proxy: must be like http://proxy.example.org:3128") from None
