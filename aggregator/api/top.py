"""GET /api/v1/clusters/{cluster}/top: the largest jobs, users and accounts by a measure, from the snapshot."""

import math
from collections.abc import Callable
from typing import Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import BadData
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.job_filter import FILTERS, read_filter
from aggregator.api.job_rows import live_json
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.measures import MEASURES
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json
from aggregator.api.sums import Owner, rows_json, sums_of
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.view import ClusterView
from aggregator.parts.owners.sums import HOLDS

_GROUPS: Final = frozenset({"job", "user", "account"})
_OF_SUMS: Final = frozenset({"user", "account"})
# The value, then two keys that tell equal ones apart.
_Place = tuple[float, str, str]
_DIGITS: Final = 20


@of_snapshot
async def list_top(request: web.Request) -> web.Response:
    """Answer with the largest by a measure, page by page; who or what has none of it is left out."""
    asked = Parameters(request, "by", "group", *FILTERS, "limit", "cursor")
    by, group = asked.choice("by", frozenset(MEASURES)), asked.choice("group", _GROUPS) or "user"
    if by is None:
        raise BadData(f"by: is required; it must be one of {', '.join(sorted(MEASURES))}")
    view = find_accounted_cluster(request, request.app[STORE].current)
    sight = sight_of(identity_of(request), request.app[SETTINGS].rules, view)
    choose = (_jobs if group == "job" else _sums)(view, by, asked, sight, group)
    after, limit = _after(asked), asked.limit()
    page, last, rows = await executors.run(executors.ANSWERS, _page, view, group, choose, after, limit)
    audit(request, filter(None, page["user"]))
    data = {
        "by": by, "group": group, "unit": MEASURES[by].unit,
        "top": [{"value": value, **row} for value, row in zip(page["value"], rows, strict=True)],
        "next_cursor": write_cursor(repr(-last[0]), *last[1:]) if last else None,
    }  # fmt: skip
    return success(request, data, list(source_warnings(request.app[STORE].current, view.cluster)))


def _jobs(view: ClusterView, by: str, asked: Parameters, sight: Sight, group: str) -> Callable[[], pl.DataFrame]:
    """Choose the runs that hold something, as the filters of the list of jobs have them."""
    wanted = read_filter(asked, view)

    def choose() -> pl.DataFrame:
        jobs = wanted.choose(view.frames, sight.seen & HOLDS)
        ids = {name: pl.col(name).cast(pl.String).str.zfill(_DIGITS) for name in ("job_id", "run_id")}
        return jobs.with_columns(value=MEASURES[by].of_job, first=ids["job_id"], second=ids["run_id"])

    return choose


def _sums(view: ClusterView, by: str, asked: Parameters, sight: Sight, group: str) -> Callable[[], pl.DataFrame]:
    for name in FILTERS:
        if asked.has(name) and name not in _OF_SUMS:
            raise BadData(f"{name}: is for group=job; users and accounts are chosen by user and account")
    wanted = {name: asked.many(name) for name in _OF_SUMS}
    chosen = [pl.col(name).is_in(list(names)) for name, names in wanted.items() if names]

    def choose() -> pl.DataFrame:
        sums = sums_of(view, _owner(group), sight).filter(*chosen)
        return sums.with_columns(value=pl.col(MEASURES[by].of_sums), first="account", second="user")

    return choose


def _owner(group: str) -> Owner:
    return "user" if group == "user" else "account"


def _page(
    view: ClusterView, group: str, choose: Callable[[], pl.DataFrame], after: _Place | None, limit: int
) -> tuple[pl.DataFrame, _Place | None, list[Json]]:
    """Give one page of the largest, as rows and as JSON, and the place after which the next begins."""
    found = choose().with_columns(pl.col("value").cast(pl.Float64)).filter(pl.col("value") != 0)
    if after is not None:
        found = found.filter(_is_behind(*after))
    largest = found.sort("value", "first", "second", descending=[True, False, False])
    page = largest.head(limit)
    last = page.select("value", "first", "second").row(-1) if largest.height > limit else None
    return page, last, live_json(view, page) if group == "job" else rows_json(view, _owner(group), page)


def _is_behind(value: float, first: str, second: str) -> pl.Expr:
    is_later = (pl.col("first") > first) | ((pl.col("first") == first) & (pl.col("second") > second))
    return (pl.col("value") < -value) | ((pl.col("value") == -value) & is_later)


def _after(asked: Parameters) -> _Place | None:
    cursor = asked.cursor(str, 3)
    if cursor is None:
        return None
    try:
        value = float(cursor[0])
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise BadData("cursor: must be the next_cursor of an earlier answer of the same path")
    return value, cursor[1], cursor[2]
