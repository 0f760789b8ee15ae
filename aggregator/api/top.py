"""GET /api/v1/clusters/{cluster}/top: the largest jobs, users and accounts by a measure, from the snapshot."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.energy_representation import joined_job_json
from aggregator.api.envelope import success
from aggregator.api.errors import BadData
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.job_filter import FILTERS, read_filter
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.measures import MEASURES, Measure
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json
from aggregator.api.sums import accounts_of, users_of
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.view import ClusterView

_GROUPS: Final = frozenset({"job", "user", "account"})
_OF_SUMS: Final = frozenset({"user", "account"})
# value, then what tells equal ones apart
_Place = tuple[float, str, str]


class _Entry(NamedTuple):
    """One candidate: its place in the order, whose it is, and how it looks."""

    place: _Place
    user: str
    json: Callable[[], Json]


@of_snapshot
async def list_top(request: web.Request) -> web.Response:
    """Answer with the largest by a measure, page by page; who or what has none of it is left out."""
    asked = Parameters(request, "by", "group", *FILTERS, "limit", "cursor")
    by, group = asked.choice("by", frozenset(MEASURES)), asked.choice("group", _GROUPS) or "user"
    if by is None:
        raise BadData(f"by: is required; it must be one of {', '.join(sorted(MEASURES))}")
    view = find_accounted_cluster(request, request.app[STORE].current)
    sight = sight_of(identity_of(request), request.app[SETTINGS].rules, view)
    entries = (_jobs if group == "job" else _sums)(view, MEASURES[by], asked, sight, group)
    page, last = _page(sorted(entries, key=lambda entry: entry.place), asked)
    audit(request, (entry.user for entry in page if entry.user))
    data = {
        "by": by, "group": group, "unit": MEASURES[by].unit,
        "top": [{"value": -entry.place[0], **entry.json()} for entry in page],
        "next_cursor": write_cursor(repr(last[0]), *last[1:]) if last else None,
    }  # fmt: skip
    return success(request, data, list(source_warnings(request.app[STORE].current, view.cluster)))


def _jobs(view: ClusterView, measure: Measure, asked: Parameters, sight: Sight, group: str) -> Iterable[_Entry]:
    """Give the runs that hold something, as the filters of the list of jobs have them."""
    wanted = read_filter(asked, view)
    for job in view.jobs:
        if job.run.holds_resources and wanted.matches(job) and sight.sees_run(job.run):
            value = measure.of_job(job)
            if value:
                place = (-float(value), f"{job.run.job_id:020d}", f"{job.run.run_id:020d}")
                yield _Entry(place, job.run.user, partial(joined_job_json, job, view))


def _sums(view: ClusterView, measure: Measure, asked: Parameters, sight: Sight, group: str) -> Iterable[_Entry]:
    for name in FILTERS:
        if asked.has(name) and name not in _OF_SUMS:
            raise BadData(f"{name}: is for group=job; users and accounts are chosen by user and account")
    users, accounts = asked.many("user"), asked.many("account")
    for sums in (users_of if group == "user" else accounts_of)(view, sight):
        account, user = sums.key
        value = measure.of_sums(sums)
        if value and (not users or user in users) and (not accounts or account in accounts):
            yield _Entry((-float(value), account, user), user, sums.json)


def _page(entries: list[_Entry], asked: Parameters) -> tuple[list[_Entry], _Place | None]:
    """Give one page, and the place after which the next begins."""
    after, limit = _after(asked), asked.limit()
    start = 0 if after is None else bisect_right(entries, after, key=lambda entry: entry.place)
    page = entries[start : start + limit]
    return page, page[-1].place if len(entries) > start + limit else None


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
