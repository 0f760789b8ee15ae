"""The Prometheus HTTP API, as far as it is needed: instant vectors and range queries."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import msgspec

from aggregator.sources.base import FetchError

# label, operator (= or !=), value
Matcher = tuple[str, str, str]

T = TypeVar("T")
_TYPES = {"vector": "an instant vector", "matrix": "a matrix"}
# An answer larger than this is a mistake in a query or not Prometheus.
MAX_ANSWER_BYTES = 512 * 2**20


class Sample(msgspec.Struct, frozen=True):
    """One series of an instant vector: its labels, and [epoch time, value as text]."""

    metric: dict[str, str]
    value: tuple[float, str]


class Series(msgspec.Struct, frozen=True):
    """One series of a matrix: its labels, and [epoch time, value as text] of each step that has one."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    # Decoded only when it is known to be a vector: the other types have other shapes.
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


_DECODER = msgspec.json.Decoder(_Answer)
_VECTOR = msgspec.json.Decoder(list[Sample])
_MATRIX = msgspec.json.Decoder(list[Series])


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How to reach one Prometheus; headers gives the secret ones anew at each request. key is named by errors."""

    key: str
    url: str
    timeout: float = 30.0
    headers: Callable[[], Mapping[str, str]] = field(default=dict)
    tls: ssl.SSLContext | bool = True


class PrometheusClient:
    """Ask one Prometheus-compatible API; opens its HTTP session at the first query."""

    def __init__(self, endpoint: Endpoint, max_concurrent: int = 8) -> None:
        self._endpoint = endpoint
        self._limit = max_concurrent
        self._session: aiohttp.ClientSession | None = None

    async def query(self, promql: str, at: float) -> Sequence[Sample]:
        """Evaluate an expression that gives an instant vector at epoch time `at`.

        Raises FetchError that names the configuration key and what came instead.
        """
        body, response = await self._post("query", {"query": promql, "time": f"{at:.3f}"})
        return self._decode(response, body, "vector", _VECTOR)

    async def query_range(self, promql: str, start: float, end: float, step: float) -> Sequence[Series]:
        """Evaluate an expression at `start` and every `step` seconds until `end` (epoch seconds).

        Raises FetchError as `query` does.
        """
        parameters = {"query": promql, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        body, response = await self._post("query_range", parameters)
        return self._decode(response, body, "matrix", _MATRIX)

    async def _post(self, path: str, parameters: Mapping[str, str]) -> tuple[bytes, aiohttp.ClientResponse]:
        endpoint = self._endpoint
        try:
            async with self._open_session().post(
                endpoint.url.rstrip("/") + f"/api/v1/{path}",
                # POST: a long expression does not fit every proxy's limit on URLs.
                data={**parameters, "timeout": f"{endpoint.timeout:.3f}"},
                headers=dict(endpoint.headers()),
                allow_redirects=False,
            ) as response:
                return await self._read(response), response
        except TimeoutError as error:
            raise FetchError(f"{endpoint.key}: no answer within {endpoint.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(f"{endpoint.key}.url: cannot reach {endpoint.url}: {error}") from error

    async def close(self) -> None:
        """Close the HTTP session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout),
                connector=aiohttp.TCPConnector(limit=self._limit, ssl=self._endpoint.tls),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 20):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise FetchError(f"{self._endpoint.key}: the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
        return bytes(body)

    def _decode(
        self, response: aiohttp.ClientResponse, body: bytes, wanted: str, decoder: msgspec.json.Decoder[list[T]]
    ) -> list[T]:
        """Decode the answer's envelope.

        Raises FetchError for anything but a successful answer of the wanted type.
        """
        key, kind = self._endpoint.key, response.content_type
        try:
            answer = _DECODER.decode(body)
            if answer.status != "success" or answer.data is None:
                raise FetchError(f"{key}: HTTP {response.status}: {answer.error_type or 'error'}: {answer.error[:300]}")
            if answer.data.result_type != wanted:
                raise FetchError(f"{key}: expected {_TYPES[wanted]}, got {answer.data.result_type or 'nothing'}")
            return decoder.decode(answer.data.result)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FetchError(
                f"{key}.url: HTTP {response.status} with {kind}, not the answer of a Prometheus API: check url"
            ) from error


def selector(metric: str, equal: Mapping[str, str], *matchers: Matcher) -> str:
    """Write `metric{label="value",…}` with escaped values; the only place where values enter PromQL."""
    every = [*((label, "=", value) for label, value in equal.items()), *matchers]
    pairs = ",".join(f"{label}{operator}{quote(value)}" for label, operator, value in every)
    return f"{metric}{{{pairs}}}" if pairs else metric


def quote(value: str) -> str:
    """Write a PromQL string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
