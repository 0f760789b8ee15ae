"""Every list: one grammar, answered from a frame as JSON, page by page, or as CSV, whole."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Generic, Protocol, TypeVar
from weakref import ref

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.areas import READ
from aggregator.api.audit import audit
from aggregator.api.envelope import success_rows
from aggregator.api.errors import BadData
from aggregator.api.representation import Json
from aggregator.api.route import Handler
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights
from aggregator.engine.few import find
from aggregator.engine.frame import Frames
from aggregator.engine.listed import Listed
from aggregator.engine.query import WORDS, ListPage, ListQuery, QueryError, page_of, pieces_of, read_query

CSV: Final = "text/csv"
FORMATS: Final = ("json", "csv")
FORMAT: Final = "format"
# What every list takes beside its filters.
PARAMETERS: Final = frozenset((*WORDS, FORMAT))


class Framed(Protocol):
    """What has frames, and a name among its like: a cluster's view, a file system's, or all clouds'."""

    @property
    def name(self) -> str:
        """Give its name."""

    @property
    def frames(self) -> Frames:
        """Give its frames."""


V = TypeVar("V", bound=Framed)


# Gives the view with what is read for a request, and what of it is missing.
Read = Callable[[web.Request, V, Rights, ListQuery | None], Awaitable[tuple[V, Sequence[str]]]]


class OfView(Generic[V]):
    """A frame that is made once of each view."""

    def __init__(self, make: Callable[[V], pl.DataFrame]) -> None:
        self._make = make
        # Weak: nobody may ever ask again, and an old view is large.
        self._made: dict[str, tuple[Callable[[], V | None], pl.DataFrame]] = {}

    def __call__(self, view: V) -> pl.DataFrame:
        """Give the frame of a view."""
        kept = self._made.get(view.name)
        if kept is None or kept[0]() is not view:
            kept = self._made[view.name] = (ref(view), self._make(view))
        return kept[1]


@dataclass(frozen=True, kw_only=True)
class ListRoute(Generic[V]):
    """A list and its path.

    find gives the view that a request asks about, and what the identity sees of it; it raises ApiError where it cannot
    be answered now. sees tells which rows are shown: nothing is counted, sorted or added up before. staff are the
    columns that only the staff has; area tells who may ask at all. warn says what is missing. read gives the view with
    what is read for one request, and what is missing of that; such an answer is made anew each time.
    """

    path: str
    listed: Listed
    find: Callable[[web.Request], tuple[V, Rights]]
    frame: Callable[[V], pl.DataFrame]
    sees: Callable[[Rights, V], pl.Expr]
    warn: Callable[[web.Request, V], Iterable[str]]
    staff: frozenset[str] = frozenset()
    area: str = READ
    read: Read[V] | None = None

    async def look(self, request: web.Request) -> tuple[V, Rights, list[str]]:
        """Give the view with all that its rows are made of, what is seen of it, and what is missing.

        Raises ApiError, FetchError.
        """
        view, rights = self.find(request)
        return await self.completed(request, view, rights, None)

    async def completed(
        self, request: web.Request, view: V, rights: Rights, query: ListQuery | None
    ) -> tuple[V, Rights, list[str]]:
        """Read what is not in the view, for what is asked of the list, if anything is."""
        warnings = list(self.warn(request, view))
        if self.read:
            view, more = await self.read(request, view, rights, query)
            warnings += more
        return view, rights, warnings

    @cached_property
    def of_others(self) -> Listed:
        """Give what is shown to others than the staff."""
        return replace(self.listed, hidden=self.listed.hidden | self.staff)

    def things(self, view: V, rights: Rights, chosen: pl.Expr) -> list[Json]:
        """Show a few rows, of those that may be seen, with all fields of the list."""
        seen = self.seen(rights, view)
        frame = find(self.frame(view), chosen if seen is None else chosen & seen)
        return shown(self.of(rights), frame, view.frames)

    def of(self, rights: Rights) -> Listed:
        """Give what is shown to an identity."""
        return self.listed if rights.everything else self.of_others

    def seen(self, rights: Rights, view: V) -> pl.Expr | None:
        """Tell which rows an identity may see; None for all."""
        return None if rights.everything else self.sees(rights, view)


LISTS: Final = web.AppKey[Mapping[str, ListRoute[Any]]]("lists")


def shown(listed: Listed, frame: pl.DataFrame, frames: Frames) -> list[Json]:
    """Show the few rows of a frame as their list does."""
    return listed.show(frame, frames, listed.fields).to_dicts()


def handler_of(each: ListRoute[Any]) -> Handler:
    """Make the handler of a list."""

    async def answer_page(request: web.Request) -> web.Response:
        view, rights, warnings, query = await _asked(request, each)
        page = await executors.run(executors.ANSWERS, _page, each, query, view, rights)
        audit(request, page.owners)
        return success_rows(request, each.listed.name, page, warnings)

    # What is read for a request may change while the snapshot does not.
    page = answer_page if each.read else of_snapshot(answer_page)

    async def answer(request: web.Request) -> web.StreamResponse:
        if not wants_csv(request):
            return await page(request)
        view, rights, warnings, query = await _asked(request, each)
        pieces, owners = await executors.run(executors.ANSWERS, _pieces, each, query, view, rights)
        return await send_csv(request, view.name, each.listed.name, pieces, owners, warnings)

    return answer


async def read_page(
    request: web.Request, each: ListRoute[V], asked: Iterable[tuple[str, str]]
) -> tuple[ListPage, list[str]]:
    """Read a page of a list by other parameters than the request's own, and say what is missing.

    Raises ApiError, FetchError.
    """
    view, rights = each.find(request)
    with mistakes_told():
        query = read_query(each.of(rights), asked)
    view, rights, warnings = await each.completed(request, view, rights, query)
    page = await executors.run(executors.ANSWERS, _page, each, query, view, rights)
    audit(request, page.owners)
    return page, warnings


async def _asked(request: web.Request, each: ListRoute[V]) -> tuple[V, Rights, list[str], ListQuery]:
    """Give the view that a request asks about, what the identity sees of it, what is missing, and what is asked."""
    view, rights = each.find(request)
    query = asked_of(request, each.of(rights))
    return *await each.completed(request, view, rights, query), query


def asked_of(request: web.Request, listed: Listed, query: Mapping[str, str] | None = None) -> ListQuery:
    """Read what a request asks of a list, or what is asked in its place.

    Raises BadData.
    """
    others = {FORMAT, *listed.words}
    with mistakes_told():
        pairs = (request.query if query is None else query).items()
        return read_query(listed, ((name, value) for name, value in pairs if name not in others))


@contextmanager
def mistakes_told() -> Iterator[None]:
    """Raise BadData for what a list cannot understand."""
    try:
        yield
    except QueryError as error:
        raise BadData(str(error)) from error


def _page(each: ListRoute[V], query: ListQuery, view: V, rights: Rights) -> ListPage:
    with mistakes_told():
        return page_of(query, each.frame(view), each.seen(rights, view), view, view.frames)


def _pieces(each: ListRoute[V], query: ListQuery, view: V, rights: Rights) -> tuple[Iterator[bytes], frozenset[str]]:
    with mistakes_told():
        return pieces_of(query, each.frame(view), each.seen(rights, view), view, view.frames)


def wants_csv(request: web.Request) -> bool:
    """Tell whether a request asks for CSV.

    Raises BadData for a format that there is not.
    """
    asked = request.query.getall(FORMAT, [])
    if asked and (len(asked) > 1 or asked[0] not in FORMATS):
        raise BadData(f'{FORMAT}: must be one of {", ".join(FORMATS)}, got "{asked[0][:100]}"')
    if asked:
        return asked[0] == "csv"
    return any(part.partition(";")[0].strip() == CSV for part in request.headers.get("Accept", "").split(","))


async def send_csv(
    request: web.Request,
    of: str,
    name: str,
    pieces: Iterator[bytes],
    owners: frozenset[str],
    warnings: Iterable[str] = (),
) -> web.StreamResponse:
    """Send a whole list, a piece at a time; what is to be said of it is in the headers, for CSV has no room for it."""
    audit(request, owners)
    response = web.StreamResponse(
        headers={"Content-Type": f"{CSV}; charset=utf-8; header=present", "Cache-Control": "no-store"}
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{"-".join(filter(None, (of, name)))}.csv"'
    for warning in warnings:
        # As JSON it is ASCII without control characters.
        response.headers.add("Warning", f"199 - {json.dumps(warning)}")
    response.enable_compression()
    await response.prepare(request)
    while (piece := await executors.run(executors.ANSWERS, next, pieces, None)) is not None:
        await response.write(piece)
    await response.write_eof()
    return response
