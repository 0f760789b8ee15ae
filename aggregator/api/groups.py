"""GET /api/v1/storage/{filesystem}/groups/… and /users/…: who has how much of a quota, and had."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import find_filesystem
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json, times
from aggregator.api.selection import select_sums
from aggregator.api.series import DAY_SECONDS, PARAMETERS, Reader, answer_series
from aggregator.api.storage import storage_warnings
from aggregator.api.storage_representation import quota_json, space_json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.series import Subject
from aggregator.model.view import FilesystemView, SpaceUsed
from aggregator.queries.series import quota_key

# Quotas are looked at over months.
_SERIES_SECONDS: Final = 90 * DAY_SECONDS
_SHOWN: Final = 100


@of_snapshot
async def get_group(request: web.Request) -> web.Response:
    """Answer with one group of a file system, without its users."""
    Parameters(request)
    view, sight = _look(request)
    space = _find_group(request, view, sight)
    data = {**_head(view), "group": space.group, **_space(space)}
    return success(request, data, storage_warnings(request.app[STORE].current, view))


@of_snapshot
async def list_group_users(request: web.Request) -> web.Response:
    """Answer with the users in one group, by name, page by page."""
    view, sight = _look(request)
    group = _find_group(request, view, sight).group
    return _users(request, view, [each for each in view.users if each.group == group and sight.sees_space(each)])


@of_snapshot
async def list_space(request: web.Request) -> web.Response:
    """Answer with what users have, by group and name, page by page; without group is what is of all groups."""
    view, sight = _look(request)
    return _users(request, view, [each for each in view.users if sight.sees_space(each)])


async def get_group_series(request: web.Request) -> web.Response:
    """Answer with a graph of a group's quota, by default of the last 90 days."""
    asked = Parameters(request, *PARAMETERS)
    view, sight = _look(request)
    group = _find_group(request, view, sight).group
    return await _series(request, asked, view, "group", group)


async def get_space_series(request: web.Request) -> web.Response:
    """Answer with a graph of a user's quota, by default of the last 90 days."""
    asked = Parameters(request, *PARAMETERS)
    view, sight = _look(request)
    user = request.match_info["user"]
    if not any(each.user == user and sight.sees_space(each) for each in view.users):
        raise NotFound(f'user "{user[:_SHOWN]}": not known on file system "{view.filesystem}"')
    audit(request, (user,))
    return await _series(request, asked, view, "user", user)


def _look(request: web.Request) -> tuple[FilesystemView, Sight]:
    view = find_filesystem(request.app[STORE].current, request.match_info["filesystem"])
    return view, sight_of(identity_of(request), request.app[SETTINGS].rules)


def _find_group(request: web.Request, view: FilesystemView, sight: Sight) -> SpaceUsed:
    """Give the group of the path; one that may not be seen is as one that is not known."""
    name, seen = request.match_info["group"], sight.groups_seen(view.users, view.members)
    for space in view.groups:
        if space.group == name and (seen is None or name in seen):
            return space
    raise NotFound(f'group "{name[:_SHOWN]}": not known on file system "{view.filesystem}"')


def _users(request: web.Request, view: FilesystemView, users: Sequence[SpaceUsed]) -> web.Response:
    asked = Parameters(request, "limit", "cursor")
    page, last = select_sums(users, lambda each: (each.group, each.user), asked.cursor(str, 2), asked.limit())
    audit(request, (each.user for each in page))
    data = {
        **_head(view),
        "users": [{"group": each.group or None, "user": each.user, **_space(each)} for each in page],
        "next_cursor": write_cursor(*last) if last else None,
    }
    return success(request, data, storage_warnings(request.app[STORE].current, view))


async def _series(request: web.Request, asked: Parameters, view: FilesystemView, kind: str, owner: str) -> web.Response:
    reader, subject = Reader(quota_key(view.filesystem)), Subject(labels=((kind, owner),))
    return await answer_series(request, asked, reader, kind, subject, seconds=_SERIES_SECONDS)


def _head(view: FilesystemView) -> Json:
    return {"filesystem": view.filesystem, **times("as_of", view.time), **times("updated", view.updated)}


def _space(space: SpaceUsed) -> Json:
    return {**space_json(space), "quota": quota_json(space)}
