"""The Prometheus HTTP API, as far as it is needed: instant vectors and range queries."""

import ssl
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import msgspec
import polars as pl

from aggregator import executors
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.answer import AnswerError, Taker, read_answer, refusal
from aggregator.sources.prometheus.compressed import ACCEPTED, PIECE_BYTES, CompressedError, pieces
from aggregator.sources.prometheus.vector import VectorColumns, VectorQuery

T = TypeVar("T")
# VictoriaMetrics evaluates up to 30 s before the time that is asked for, or at other steps, unless its cache is not to
# be used; others do not know the parameter.
_EVALUATION = {"nocache": "1"}


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One series of an instant vector: its labels, and [epoch time, value as text]."""

    metric: dict[str, str]
    value: tuple[float, str]


class Series(msgspec.Struct, frozen=True, gc=False):
    """One series of a matrix: its labels, and [epoch time, value as text] of each step that has one."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


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

        Raises FetchError that names the configuration key and what came instead, also of an answer that is not whole:
        from the half of the series that a store has, all jobs of the other half would look idle.
        """
        samples: list[Sample] = []
        await self._ask_instant(promql, at, _VECTOR, samples)
        return samples

    async def query_columns(self, query: VectorQuery, at: float) -> pl.DataFrame:
        """Evaluate as `query` does, and give the vector as columns: of large ones no object is kept for each series.

        Raises FetchError as `query` does.
        """
        columns = VectorColumns(query.labels)
        await self._ask_instant(query.promql, at, columns.decoder, columns)
        return await executors.run(executors.REFRESH, columns.frame)

    async def query_range(self, promql: str, start: float, end: float, step: float) -> Sequence[Series]:
        """Evaluate an expression at `start` and every `step` seconds until `end` (epoch seconds).

        Raises FetchError as `query` does.
        """
        series, warnings = await self.query_range_with_warnings(promql, start, end, step)
        self._check_whole(warnings)
        return series

    async def query_range_with_warnings(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Sequence[Series], Sequence[str]]:
        """Evaluate as `query_range` does; an answer that is not whole is given with what is wrong with it.

        Raises FetchError when there is no answer.
        """
        series: list[Series] = []
        parameters = {"query": promql, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return series, await self._post("query_range", parameters, "matrix", _MATRIX, series)

    async def _ask_instant(
        self, promql: str, at: float, decoder: msgspec.json.Decoder[list[T]], taker: Taker[T]
    ) -> None:
        parameters = {"query": promql, "time": f"{at:.3f}"}
        self._check_whole(await self._post("query", parameters, "vector", decoder, taker))

    def _check_whole(self, warnings: Sequence[str]) -> None:
        if warnings:
            raise FetchError(f"{self._endpoint.key}: the answer is not whole: {warnings[0][:300]}")

    async def _post(
        self,
        path: str,
        parameters: Mapping[str, str],
        wanted: str,
        decoder: msgspec.json.Decoder[list[T]],
        taker: Taker[T],
    ) -> Sequence[str]:
        """Ask, give the series to `taker`, and return the warnings.

        Raises FetchError when there is no answer.
        """
        endpoint = self._endpoint
        try:
            async with self._open_session().post(
                endpoint.url.rstrip("/") + f"/api/v1/{path}",
                # POST: a long expression does not fit every proxy's limit on URLs.
                data={**parameters, **_EVALUATION, "timeout": f"{endpoint.timeout:.3f}"},
                headers={"Accept-Encoding": ACCEPTED, **endpoint.headers()},
                allow_redirects=False,
            ) as response:
                return await self._read(response, wanted, decoder, taker)
        except TimeoutError as error:
            _let_go(error)
            raise FetchError(f"{endpoint.key}: no answer within {endpoint.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            _let_go(error)
            raise FetchError(f"{endpoint.key}.url: cannot reach {endpoint.url}: {_reason(error)}") from error

    async def _read(
        self, response: aiohttp.ClientResponse, wanted: str, decoder: msgspec.json.Decoder[list[T]], taker: Taker[T]
    ) -> Sequence[str]:
        """Read the answer.

        Raises FetchError for anything but a successful one of the wanted type.
        """
        try:
            chunks = response.content.iter_chunked(PIECE_BYTES)
            body = pieces(chunks, response.headers.get("Content-Encoding", "").lower())
            return await read_answer(body, wanted, decoder, taker)
        except CompressedError as error:
            raise FetchError(f"{self._endpoint.key}: HTTP {response.status}: the answer is {error}") from error
        except AnswerError as error:
            key, text = self._endpoint.key, str(error)
            if error.is_of_the_api:
                raise FetchError(f"{key}: HTTP {response.status}: {text}") from error
            raise FetchError(f"{key}{refusal(response.status, response.content_type, response.headers)}") from error

    async def close(self) -> None:
        """Close the HTTP session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout),
                # aiohttp would do it on the event loop.
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=self._limit, ssl=self._endpoint.tls),
            )
        return self._session


def _let_go(error: BaseException | None) -> None:
    """Empty the frames of an error: aiohttp's have a timer with the task that the error has ended, a cycle.

    All that wait for the task would stay until a collection, with what they hold: a ledger holds a whole snapshot.
    """
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _reason(error: Exception) -> str:
    """Tell a host that is not known from one that refuses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host is not known: {error.os_error.strerror}"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "the connection was refused: nothing listens there"
    return str(error)
