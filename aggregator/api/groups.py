"""GET /api/v1/storage/{filesystem}/groups/{group} and …/users/{user}, with /series: what one has, and had."""

from typing import Annotated, Final

import polars as pl
from aiohttp import web

from aggregator.api.answer import row
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.lists import LISTS
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json
from aggregator.api.series import DAY_SECONDS, Reader, answer_series
from aggregator.api.storage_lists import GROUPS_PATH, SPACES_PATH
from aggregator.api.storage_representation import OfFilesystemShown, head_json
from aggregator.api.unchanged import of_snapshot
from aggregator.engine.view import View
from aggregator.model.series import Subject
from aggregator.queries.series import quota_key

# Quotas are looked at over months.
_SERIES_SECONDS: Final = 90 * DAY_SECONDS
_SHOWN: Final = 100


class SpaceShown(OfFilesystemShown):
    """What a user has in each group of a file system."""

    user: str
    groups: list[Annotated[Json, row("storage_users")]]


@of_snapshot
async def get_group(request: web.Request) -> web.Response:
    """Answer with one group of a file system, without its users."""
    return success(request, *await read_group(request))


async def read_group(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the group in the path, and what is missing.

    Raises ApiError.
    """
    view, (row,), warnings = await _look(request, GROUPS_PATH, "group")
    return {**head_json(view), **row}, warnings


@of_snapshot
async def get_space(request: web.Request) -> web.Response:
    """Answer with what one user has in each group of a file system."""
    view, rows, warnings = await _look(request, SPACES_PATH, "user")
    user = request.match_info["user"]
    audit(request, (user,))
    return success(request, {**head_json(view), "user": user, "groups": rows}, warnings)


async def get_group_series(request: web.Request) -> web.Response:
    """Answer with a graph of a group's quota, by default of the last 90 days."""
    return await _series(request, GROUPS_PATH, "group")


async def get_space_series(request: web.Request) -> web.Response:
    """Answer with a graph of a user's quota, by default of the last 90 days."""
    return await _series(request, SPACES_PATH, "user")


async def _look(request: web.Request, path: str, kind: str) -> tuple[View, list[Json], list[str]]:
    """Find the rows of whom the path names.

    Raises NotFound, also for what may not be seen.
    """
    each = request.app[LISTS][path]
    view, rights, warnings = await each.look(request)
    name = request.match_info[kind]
    rows = each.things(view, rights, pl.col(kind) == name)
    if not rows:
        raise NotFound(f'{kind} "{name[:_SHOWN]}": not known on file system "{view.name}"')
    return view, rows, warnings


async def _series(request: web.Request, path: str, kind: str) -> web.Response:
    asked = Parameters(request)
    view, _, _ = await _look(request, path, kind)
    name = request.match_info[kind]
    if kind == "user":
        audit(request, (name,))
    reader, subject = Reader(quota_key(view.name)), Subject(labels=((kind, name),))
    return await answer_series(request, asked, reader, kind, subject, seconds=_SERIES_SECONDS)
