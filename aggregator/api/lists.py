"""Every list: one grammar, answered from a frame as JSON, page by page, or as CSV, whole."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Generic, Protocol, TypeVar
from weakref import ref

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.envelope import success_rows
from aggregator.api.errors import BadData
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights
from aggregator.engine.frame import Frames
from aggregator.engine.listed import Listed
from aggregator.engine.query import WORDS, ListPage, ListQuery, QueryError, page_of, pieces_of, read_query

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
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
    columns that only the staff has. warn says what is missing.
    """

    path: str
    listed: Listed
    find: Callable[[web.Request], tuple[V, Rights]]
    frame: Callable[[V], pl.DataFrame]
    sees: Callable[[Rights, V], pl.Expr]
    warn: Callable[[web.Request, V], Iterable[str]]
    staff: frozenset[str] = frozenset()

    @cached_property
    def nested(self) -> OfView[V]:
        """Give what makes the nested rows of a view: once for all that is asked of it."""
        return OfView(lambda view: self.listed.lists(self.frame(view), view.frames))

    @cached_property
    def of_others(self) -> Listed:
        """Give what is shown to others than the staff."""
        return replace(self.listed, hidden=self.listed.hidden | self.staff)

    def rows(self, view: V) -> pl.DataFrame:
        """Give all rows, with nested ones."""
        frame = self.frame(view)
        return frame.hstack(self.nested(view)) if self.listed.nested else frame

    def seen(self, rights: Rights, view: V) -> pl.Expr | None:
        """Tell which rows an identity may see; None for all."""
        return None if rights.everything else self.sees(rights, view)


# Every list of the service.
LISTS: Final = web.AppKey[Sequence[ListRoute[Any]]]("lists")


def handler_of(each: ListRoute[Any]) -> Handler:
    """Make the handler of a list."""

    @of_snapshot
    async def answer_page(request: web.Request) -> web.Response:
        view, rights = each.find(request)
        query = _query(request, each, rights)
        page = await executors.run(executors.ANSWERS, _page, each, query, view, rights)
        audit(request, page.owners)
        return success_rows(request, each.listed.name, page, list(each.warn(request, view)))

    async def answer(request: web.Request) -> web.StreamResponse:
        if not _wants_csv(request):
            return await answer_page(request)
        view, rights = each.find(request)
        return await _answer_csv(request, each, _query(request, each, rights), view, rights)

    return answer


def _query(request: web.Request, each: ListRoute[Any], rights: Rights) -> ListQuery:
    listed = each.listed if rights.everything else each.of_others
    try:
        return read_query(listed, ((name, value) for name, value in request.query.items() if name != FORMAT))
    except QueryError as error:
        raise BadData(str(error)) from error


def _page(each: ListRoute[V], query: ListQuery, view: V, rights: Rights) -> ListPage:
    try:
        return page_of(query, each.rows(view), each.seen(rights, view), view, view.frames)
    except QueryError as error:
        raise BadData(str(error)) from error


def _wants_csv(request: web.Request) -> bool:
    asked = request.query.getall(FORMAT, [])
    if asked and (len(asked) > 1 or asked[0] not in FORMATS):
        raise BadData(f'{FORMAT}: must be one of {", ".join(FORMATS)}, got "{asked[0][:100]}"')
    if asked:
        return asked[0] == "csv"
    return any(part.partition(";")[0].strip() == CSV for part in request.headers.get("Accept", "").split(","))


async def _answer_csv(
    request: web.Request, each: ListRoute[V], query: ListQuery, view: V, rights: Rights
) -> web.StreamResponse:
    """Send the whole list, a piece at a time."""

    def begin() -> tuple[Iterator[bytes], frozenset[str]]:
        try:
            return pieces_of(query, each.rows(view), each.seen(rights, view), view, view.frames)
        except QueryError as error:
            raise BadData(str(error)) from error

    pieces, owners = await executors.run(executors.ANSWERS, begin)
    audit(request, owners)
    response = web.StreamResponse(
        headers={"Content-Type": f"{CSV}; charset=utf-8; header=present", "Cache-Control": "no-store"}
    )
    response.headers["Content-Disposition"] = (
        f'attachment; filename="{"-".join(filter(None, (view.name, each.listed.name)))}.csv"'
    )
    response.enable_compression()
    await response.prepare(request)
    while (piece := await executors.run(executors.ANSWERS, next, pieces, None)) is not None:
        await response.write(piece)
    await response.write_eof()
    return response
