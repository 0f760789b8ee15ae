"""GET …/clusters/{cluster}/{table}: the tables of parts of other packages, for the staff."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound, Unavailable
from aggregator.api.freshness import describe_failure, is_stale, source_warnings, sources_of
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.lookup import find_cluster
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.selection import select_rows
from aggregator.engine.column import Table
from aggregator.model.view import Snapshot, SourceStatus

TABLES_PATH: Final = "/api/v1/clusters/{cluster}/"
# What every list takes beside the columns by which it is filtered.
LIST_PARAMETERS: Final = frozenset(("limit", "cursor"))
_KEY: Final = "_key_"
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class PartTable:
    """A table and the part that makes it."""

    part: str
    table: Table


def routes_of(tables: Iterable[PartTable]) -> list[web.RouteDef]:
    """Give the route of each table's list; in no list of areas, it is the staff's."""
    return [web.get(TABLES_PATH + each.table.name, _lists(each)) for each in tables]


def _lists(of: PartTable) -> Handler:
    async def list_rows(request: web.Request) -> web.Response:
        """Answer with the rows of the table by its labels, page by page."""
        asked = Parameters(request, *of.table.labels.values(), *sorted(LIST_PARAMETERS))
        wanted = {column: asked.many(column) for column in of.table.labels.values()}
        keys = [f"{_KEY}{column}" for column in of.table.labels.values()]
        after, limit = asked.cursor(str, len(keys)), asked.limit()
        snapshot = request.app[STORE].current
        view = find_cluster(snapshot, request.match_info["cluster"])
        _check_read(request, snapshot, view.cluster, of.part)
        rows = await executors.run(executors.ANSWERS, _chosen, view.frames[of.table.name], wanted)
        page, last = select_rows(rows, keys, after, limit) if keys else (rows.head(limit), None)
        data = {
            of.table.name: page.select(of.table.schema.names()).to_dicts(),
            "next_cursor": write_cursor(*last) if last else None,
        }
        return success(request, data, list(source_warnings(snapshot, view.cluster)))

    return list_rows


def _chosen(frame: pl.DataFrame, wanted: dict[str, frozenset[str]]) -> pl.DataFrame:
    """Give the rows whose labels have the wanted values, sorted by their labels, which are added as texts."""
    keys = {f"{_KEY}{column}": pl.col(column).cast(pl.String).fill_null("") for column in wanted}
    keyed = frame.with_columns(**keys)
    for column, values in wanted.items():
        if values:
            keyed = keyed.filter(pl.col(f"{_KEY}{column}").is_in(list(values)))
    return keyed.sort(list(keys)) if keys else keyed


def _check_read(request: web.Request, snapshot: Snapshot, cluster: str, part: str) -> None:
    """See whether anything of a part is known of a cluster.

    Raises NotFound where it is not configured there, Unavailable naming its sources where none has been read.
    """
    statuses = _of_part(snapshot, cluster, part)
    if not statuses:
        raise NotFound(f'cluster "{cluster}": the part {part} is not configured: clusters.{cluster}.parts.{part}')
    now, stale_after = request.app[CLOCK](), request.app[SETTINGS].stale_after
    if all(is_stale(status, now, stale_after) for status in statuses):
        raise Unavailable("; ".join(map(describe_failure, statuses)))


def _of_part(snapshot: Snapshot, cluster: str, part: str) -> Sequence[SourceStatus]:
    return [each for each in sources_of(snapshot, cluster) if f"{each.source}_".startswith(f"{part}_")]
