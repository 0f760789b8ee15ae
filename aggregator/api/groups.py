"""GET /api/v1/storage/{filesystem}/groups/{group} and …/users/{user}/series: what one has of a quota, and had."""

from typing import Final

import polars as pl
from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.keys import STORE
from aggregator.api.lookup import find_seen_filesystem
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json
from aggregator.api.series import DAY_SECONDS, PARAMETERS, Reader, answer_series
from aggregator.api.storage import storage_warnings
from aggregator.api.storage_representation import head_json, quota_json, spaces_json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights
from aggregator.engine.view import View
from aggregator.model.series import Subject
from aggregator.queries.series import quota_key

# Quotas are looked at over months.
_SERIES_SECONDS: Final = 90 * DAY_SECONDS
_SHOWN: Final = 100


@of_snapshot
async def get_group(request: web.Request) -> web.Response:
    """Answer with one group of a file system, without its users."""
    Parameters(request)
    view, rights = find_seen_filesystem(request)
    row = _find_group(request, view, rights)
    (space,) = spaces_json(view, "group", [row])
    data = {**head_json(view), "group": row["group"], **space, "quota": quota_json(row)}
    return success(request, data, storage_warnings(request.app[STORE].current, view))


async def get_group_series(request: web.Request) -> web.Response:
    """Answer with a graph of a group's quota, by default of the last 90 days."""
    asked = Parameters(request, *PARAMETERS)
    view, rights = find_seen_filesystem(request)
    group = _find_group(request, view, rights)["group"]
    return await _series(request, asked, view, "group", group)


async def get_space_series(request: web.Request) -> web.Response:
    """Answer with a graph of a user's quota, by default of the last 90 days."""
    asked = Parameters(request, *PARAMETERS)
    view, rights = find_seen_filesystem(request)
    user = request.match_info["user"]
    if rights.spaces_of(view).filter(pl.col("user") == user).is_empty():
        raise NotFound(f'user "{user[:_SHOWN]}": not known on file system "{view.name}"')
    audit(request, (user,))
    return await _series(request, asked, view, "user", user)


def _find_group(request: web.Request, view: View, rights: Rights) -> Json:
    """Give the row of the group of the path; one that may not be seen is as one that is not known."""
    name = request.match_info["group"]
    for row in rights.groups_of(view).filter(pl.col("group") == name).iter_rows(named=True):
        return row
    raise NotFound(f'group "{name[:_SHOWN]}": not known on file system "{view.name}"')


async def _series(request: web.Request, asked: Parameters, view: View, kind: str, owner: str) -> web.Response:
    reader, subject = Reader(quota_key(view.name)), Subject(labels=((kind, owner),))
    return await answer_series(request, asked, reader, kind, subject, seconds=_SERIES_SECONDS)
