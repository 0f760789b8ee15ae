"""Read the answers of the Prometheus HTTP API piece by piece: their series, and whether they are all of them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from aggregator import executors

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
_TYPES: Final = {"vector": "an instant vector", "matrix": "a matrix"}
# An answer larger than this is a mistake in a query or not Prometheus.
MAX_ANSWER_BYTES: Final = 512 * 2**20
# Decoded, series and points take many times the room that the shortest of them have in an answer. The largest clusters
# have 100,000 jobs.
MAX_SERIES: Final = 1_000_000
MAX_POINTS: Final = 10_000_000
# The longest piece that is decoded at once: what no series was found in, or one series.
MAX_UNCUT_BYTES: Final = 64 * 2**20
# Where a series begins. In a label's value there would be a backslash before each quote.
_SERIES: Final = b'{"metric":'
# Remarks on the expression, which from Prometheus 2.48 to 2.53 are among the warnings, later apart.
_REMARK: Final = "PromQL info:"
_PARTIAL: Final = "isPartial: not every vmstorage has answered"


class AnswerError(Exception):
    """It is not what was asked for; is_of_the_api tells whether the API itself says so."""

    def __init__(self, text: str, *, is_of_the_api: bool = True) -> None:
        super().__init__(text)
        self.is_of_the_api = is_of_the_api


class Taker(Protocol[T_contra]):
    """What takes the series of an answer, such as a list."""

    def extend(self, found: Iterable[T_contra], /) -> None:
        """Take the series of one piece."""
        ...


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    # Decoded only when it is known to be of the wanted type: the others have other shapes.
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Envelope(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    # Of Prometheus (remote reads), Thanos and Mimir.
    warnings: list[str] | None = None
    # Of VictoriaMetrics' cluster.
    is_partial: bool = False


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


async def read_answer(
    chunks: AsyncIterator[bytes], wanted: str, decoder: msgspec.json.Decoder[list[T]], taker: Taker[T]
) -> tuple[str, ...]:
    """Decode the series while they arrive: neither is the body held as a whole, nor the event loop for long.

    Gives why the series may not be all: none of these warnings, and the answer is whole. Raises AnswerError for
    anything but a successful answer of the wanted type.
    """
    head, rest = bytearray(), bytearray()
    size = count = points = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            _check_size(size, len(rest) + len(chunk))
            # What was there before has been searched; but for its end, where a series may have begun.
            since = max(0, len(rest) - len(_SERIES))
            rest += chunk
            if not head:
                _move_head(head, rest, since)
                since = 0
            found = _complete(rest, since, decoder)
            taker.extend(found)
            count, points = count + len(found), points + _points(found)
            _check_count(count, points)
        # The last series stays in the envelope, for only there one sees where it ends.
        envelope = await executors.run(executors.REFRESH, _ENVELOPE.decode, head + rest)
        found = await executors.run(executors.REFRESH, decoder.decode, _result(envelope, wanted))
        taker.extend(found)
        _check_count(count + len(found), points + _points(found))
    # What is nested too deeply is no answer either.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError("not the answer of a Prometheus API", is_of_the_api=False) from error
    return _warnings(envelope)


def _check_size(size: int, uncut: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise AnswerError(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
    if uncut > MAX_UNCUT_BYTES:
        raise AnswerError(f"the answer has {MAX_UNCUT_BYTES >> 20} MiB without a series, or in one of them")


def _check_count(series: int, points: int) -> None:
    if series > MAX_SERIES or points > MAX_POINTS:
        raise AnswerError(f"the answer has more than {MAX_SERIES} series, or more than {MAX_POINTS} points")


def _points(series: Iterable[object]) -> int:
    """Count the points of series that have several."""
    return sum(len(getattr(one, "values", ())) for one in series)


def _move_head(head: bytearray, rest: bytearray, since: int) -> None:
    """Set what comes before the first series apart, as soon as there is one."""
    first = rest.find(_SERIES, since)
    if first > 0:
        head += rest[:first]
        del rest[:first]


def _complete(rest: bytearray, since: int, decoder: msgspec.json.Decoder[list[T]]) -> list[T]:
    """Decode and drop the series that are complete: those before which begins the last one."""
    last = rest.rfind(b"," + _SERIES, since) if rest.startswith(_SERIES) else -1
    if last < 0:
        return []
    found = decoder.decode(b"[" + rest[:last] + b"]")
    del rest[: last + 1]
    return found


def _result(envelope: _Envelope, wanted: str) -> msgspec.Raw:
    if envelope.status != "success" or envelope.data is None:
        raise AnswerError(f"{envelope.error_type or 'error'}: {envelope.error[:300]}")
    if envelope.data.result_type != wanted:
        raise AnswerError(f"expected {_TYPES[wanted]}, got {envelope.data.result_type or 'nothing'}")
    return envelope.data.result


def _warnings(envelope: _Envelope) -> tuple[str, ...]:
    partial = (_PARTIAL,) if envelope.is_partial else ()
    return (*partial, *(text for text in envelope.warnings or () if not text.startswith(_REMARK)))


def refusal(status: int, content_type: str, headers: Mapping[str, str]) -> str:
    """Say what an answer that is not the API's means, and which key to look at."""
    said = f"HTTP {status} with {content_type}"
    if 300 <= status < 400:
        # What follows the path may be a ticket of the login.
        to = urlsplit(headers.get("Location", ""))
        return f".url: {said}, a redirect to {to.hostname or ''}{to.path}: check url, and whether a login is needed"
    if status in (401, 403):
        return f": {said}: check bearer_token, basic_auth or headers"
    if status == 429:
        return f": {said}, too many queries: lower refresh.max_concurrent_queries or raise the tenant's limit"
    if status in (502, 503, 504):
        return f": {said}: the engine is not ready, overloaded or behind a proxy that does not reach it"
    return f".url: {said}, not the answer of a Prometheus API: check url"
