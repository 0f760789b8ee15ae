"""Query parameters, read strictly: whoever mistypes one is told, not given the wrong answer."""

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import orjson
from aiohttp import web
from multidict import MultiDict

from aggregator.api.errors import BadData
from aggregator.api.keys import CLOCK
from aggregator.config import parse_duration
from aggregator.engine.query import values_of

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_LATEST: Final = 2.0**40
_LONGEST: Final = 366 * 86_400.0
_SHOWN = 100
K = TypeVar("K", int, str)


def check_names(query: Iterable[str], known: Sequence[str]) -> None:
    """See that each parameter is one that a path takes.

    Raises BadData, which says which there are.
    """
    for name in query:
        if name not in known:
            raise BadData(f"{name[:_SHOWN]}: unknown parameter; {_list_known(known)}")


class Parameters:
    """The query parameters of one request, all of them declared by its route; or others, which it stands for."""

    def __init__(self, request: web.Request, query: Mapping[str, str] | None = None) -> None:
        self._query = request.query if query is None else MultiDict(query)
        self._request = request

    def has(self, name: str) -> bool:
        """Tell whether a parameter is given."""
        return name in self._query

    def many(self, name: str) -> frozenset[str]:
        """Read a parameter that may be repeated, hold values with commas between them, or both; empty when absent.

        Raises BadData for an empty value.
        """
        values = frozenset(values_of(self._query.getall(name, ())))
        if "" in values:
            raise BadData(f"{name}: must not be empty")
        return values

    def choices(self, name: str, allowed: frozenset[str]) -> frozenset[str]:
        """Read a repeatable parameter whose values are known, in any case; they are given in lower case.

        Raises BadData naming the values that there are.
        """
        values = frozenset(value.lower() for value in self.many(name))
        for value in sorted(values - allowed):
            raise BadData(f'{name}: must be one of {", ".join(sorted(allowed))}, got "{value[:_SHOWN]}"')
        return values

    def choice(self, name: str, allowed: frozenset[str]) -> str | None:
        """Read a parameter that has one of some values, in any case; None when absent."""
        text = self._one(name)
        if text is not None and text.lower() not in allowed:
            raise BadData(f'{name}: must be one of {", ".join(sorted(allowed))}, got "{text[:_SHOWN]}"')
        return None if text is None else text.lower()

    def limit(self) -> int:
        """Read how many items a page may have at most."""
        text = self._one("limit")
        if text is None:
            return DEFAULT_LIMIT
        if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT:
            return int(text)
        raise BadData(f'limit: must be 1–{MAX_LIMIT}, got "{text[:_SHOWN]}"')

    def time(self, name: str) -> float | None:
        """Read a time as Prometheus does, epoch seconds or RFC 3339, or as `now-7d`; None when absent."""
        text = self._one(name)
        if text is None:
            return None
        try:
            seconds = self._request.app[CLOCK]() - _parse_ago(text) if text.startswith("now") else float(text)
        except ValueError:
            seconds = _parse_rfc3339(text)
        # Beyond what a clock shows; NaN is neither above nor below anything.
        if not 0 <= seconds <= _LATEST:
            raise BadData(
                f'{name}: must be a time such as 1700000000, 2023-11-14T22:13:20Z or now-7d, got "{text[:_SHOWN]}"'
            )
        return seconds

    def text(self, name: str) -> str | None:
        """Read a parameter that is given once; None when absent."""
        return self._one(name)

    def duration(self, name: str) -> float | None:
        """Read a length of time as Prometheus does, `30s` or a number of seconds; None when absent."""
        text = self._one(name)
        if text is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = parse_duration(text)
            except ValueError:
                seconds = math.nan
        if not 1 <= seconds <= _LONGEST:
            raise BadData(f'{name}: must be a duration of a second to a year such as 30s or 300, got "{text[:_SHOWN]}"')
        return seconds

    def cursor(self, kind: type[K], length: int) -> tuple[K, ...] | None:
        """Read the sort key after which the page begins: `length` values of one kind; None for the first page."""
        text = self._one("cursor")
        if text is None:
            return None
        try:
            values = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            values = None
        if not isinstance(values, list) or len(values) != length or any(type(value) is not kind for value in values):
            raise BadData("cursor: must be the next_cursor of an earlier answer of the same path")
        return tuple(values)

    def _one(self, name: str) -> str | None:
        values = self._query.getall(name, [])
        if len(values) > 1:
            raise BadData(f"{name}: must be given once, got {len(values)} values")
        return values[0] if values else None


def _parse_ago(text: str) -> float:
    """Give the seconds that `now` or `now-7d` lies back, or raise ValueError."""
    if text == "now":
        return 0.0
    if not text.startswith("now-"):
        raise ValueError(text)
    return parse_duration(text.removeprefix("now-"))


def _parse_rfc3339(text: str) -> float:
    """Give the epoch seconds; NaN for what is not a time, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return moment.timestamp() if moment.tzinfo else math.nan


def write_cursor(*key: int | str) -> str:
    """Write the sort key of a page's last item so that nobody is tempted to make one."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def _list_known(known: Sequence[str]) -> str:
    return f"known are {', '.join(sorted(known))}" if known else "this path takes none"
