"""GET /api/v1/storage and /api/v1/storage/{filesystem}."""

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, storage_failure
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import filesystem_names, find_filesystem
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.selection import select_groups
from aggregator.api.storage_representation import filesystem_json, groups_json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import sight_of
from aggregator.model.view import FilesystemView, Snapshot


@of_snapshot
async def list_filesystems(request: web.Request) -> web.Response:
    """Answer with the sums and the freshness of every file system that can be told about; warnings name the others."""
    Parameters(request)
    snapshot = request.app[STORE].current
    names = filesystem_names(snapshot)
    views = [find_filesystem(snapshot, name) for name in names if storage_failure(snapshot, name) is None]
    warnings = [warning for name in names for warning in source_warnings(snapshot, name)]
    return success(request, {"filesystems": [filesystem_json(view) for view in views]}, warnings)


@of_snapshot
async def get_filesystem(request: web.Request) -> web.Response:
    """Answer with the groups of one file system that the client may see, by name, page by page, and their users."""
    asked = Parameters(request, "group", "limit", "cursor")
    groups, after, limit = asked.many("group"), asked.cursor(str, 1), asked.limit()
    snapshot = request.app[STORE].current
    view = find_filesystem(snapshot, request.match_info["filesystem"])
    sight = sight_of(identity_of(request), request.app[SETTINGS].rules)
    seen = sight.groups_seen(view.users, view.members)
    page, last = select_groups(view.groups, seen, groups, after[0] if after else None, limit)
    shown = {space.group for space in page}
    users = [user for user in view.users if user.group in shown and sight.sees_space(user)]
    audit(request, (user.user for user in users))
    data = {
        **filesystem_json(view),
        "groups": groups_json(page, users),
        "next_cursor": write_cursor(last) if last is not None else None,
    }
    return success(request, data, storage_warnings(snapshot, view))


def storage_warnings(snapshot: Snapshot, view: FilesystemView) -> list[str]:
    """Say what is missing from an answer about a file system."""
    warnings = list(source_warnings(snapshot, view.filesystem))
    if view.untrusted_profiles:
        warnings.append(
            f"size_profile is null for {view.untrusted_profiles} of {len(view.groups)} groups: "
            "their bins do not add up to their files (Robinhood before 3.2 miscounts empty files)"
        )
    return warnings
