"""Every list: one grammar, answered from a frame as JSON, page by page, or as CSV, whole."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from weakref import ref

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.envelope import success_rows
from aggregator.api.errors import BadData
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.engine.listed import Listed
from aggregator.engine.query import WORDS, ListPage, ListQuery, QueryError, page_of, pieces_of, read_query
from aggregator.model.view import ClusterView

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[web.Request, ClusterView], None]
CSV: Final = "text/csv"
FORMATS: Final = ("json", "csv")
FORMAT: Final = "format"
# What every list takes beside its filters.
PARAMETERS: Final = frozenset((*WORDS, FORMAT))


class OfView:
    """A frame that is made once of each view."""

    def __init__(self, make: Callable[[ClusterView], pl.DataFrame]) -> None:
        self._make = make
        # Weak: nobody may ever ask again, and an old view is large.
        self._made: dict[str, tuple[Callable[[], ClusterView | None], pl.DataFrame]] = {}

    def __call__(self, view: ClusterView) -> pl.DataFrame:
        """Give the frame of a view."""
        kept = self._made.get(view.cluster)
        if kept is None or kept[0]() is not view:
            kept = self._made[view.cluster] = (ref(view), self._make(view))
        return kept[1]


@dataclass(frozen=True, kw_only=True)
class ClusterList:
    """A list of what a cluster has.

    sees tells which rows an identity may see: nothing is counted, sorted or added up before. check raises ApiError
    where it cannot be answered now.
    """

    listed: Listed
    frame: Callable[[ClusterView], pl.DataFrame]
    sees: Callable[[Sight], pl.Expr]
    check: Check = lambda *_: None

    @cached_property
    def nested(self) -> OfView:
        """Give what makes the nested rows of a view: once for all that is asked of it."""
        return OfView(lambda view: self.listed.lists(self.frame(view), view.frames))

    def rows(self, view: ClusterView) -> pl.DataFrame:
        """Give all rows, with nested ones."""
        frame = self.frame(view)
        return frame.hstack(self.nested(view)) if self.listed.nested else frame

    def seen(self, sight: Sight) -> pl.Expr | None:
        """Tell which rows an identity may see; None for all."""
        return None if sight.everything else self.sees(sight)

    @property
    def path(self) -> str:
        """Give the path of its route."""
        return f"/api/v1/clusters/{{cluster}}/{self.listed.name}"


def handler_of(each: ClusterList) -> Handler:
    """Make the handler of a list."""

    @of_snapshot
    async def answer_page(request: web.Request) -> web.Response:
        query, view = _query(request, each.listed), _look(request, each)
        page = await executors.run(executors.ANSWERS, _page, each, query, view, _sight(request, view))
        audit(request, page.owners)
        warnings = list(source_warnings(request.app[STORE].current, view.cluster))
        return success_rows(request, each.listed.name, page, warnings)

    async def answer(request: web.Request) -> web.StreamResponse:
        if not _wants_csv(request):
            return await answer_page(request)
        query, view = _query(request, each.listed), _look(request, each)
        return await _answer_csv(request, each, query, view)

    return answer


def _look(request: web.Request, each: ClusterList) -> ClusterView:
    view = find_accounted_cluster(request, request.app[STORE].current)
    each.check(request, view)
    return view


def _sight(request: web.Request, view: ClusterView) -> Sight:
    return sight_of(identity_of(request), request.app[SETTINGS].rules, view)


def _query(request: web.Request, listed: Listed) -> ListQuery:
    try:
        return read_query(listed, ((name, value) for name, value in request.query.items() if name != FORMAT))
    except QueryError as error:
        raise BadData(str(error)) from error


def _page(each: ClusterList, query: ListQuery, view: ClusterView, sight: Sight) -> ListPage:
    try:
        return page_of(query, each.rows(view), each.seen(sight), view, view.frames)
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
    request: web.Request, each: ClusterList, query: ListQuery, view: ClusterView
) -> web.StreamResponse:
    """Send the whole list, a piece at a time."""
    sight = _sight(request, view)

    def begin() -> tuple[Iterator[bytes], frozenset[str]]:
        try:
            return pieces_of(query, each.rows(view), each.seen(sight), view, view.frames)
        except QueryError as error:
            raise BadData(str(error)) from error

    pieces, owners = await executors.run(executors.ANSWERS, begin)
    audit(request, owners)
    response = web.StreamResponse(
        headers={"Content-Type": f"{CSV}; charset=utf-8; header=present", "Cache-Control": "no-store"}
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{view.cluster}-{each.listed.name}.csv"'
    response.enable_compression()
    await response.prepare(request)
    while (piece := await executors.run(executors.ANSWERS, next, pieces, None)) is not None:
        await response.write(piece)
    await response.write_eof()
    return response
