"""GET /api/v1/storage and /api/v1/storage/{filesystem}."""

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, storage_failure
from aggregator.api.keys import STORE
from aggregator.api.lookup import filesystem_names, find_filesystem
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.selection import select_groups
from aggregator.api.storage_representation import filesystem_json, groups_json
from aggregator.model.view import FilesystemView, Snapshot


async def list_filesystems(request: web.Request) -> web.Response:
    """Answer with the sums and the freshness of every file system that can be told about; warnings name the others."""
    Parameters(request)
    snapshot = request.app[STORE].current
    names = filesystem_names(snapshot)
    views = [find_filesystem(snapshot, name) for name in names if storage_failure(snapshot, name) is None]
    warnings = [warning for name in names for warning in source_warnings(snapshot, name)]
    return success(request, {"filesystems": [filesystem_json(view) for view in views]}, warnings)


async def get_filesystem(request: web.Request) -> web.Response:
    """Answer with the groups of one file system, by name, page by page, and the users in them."""
    asked = Parameters(request, "group", "limit", "cursor")
    groups, after, limit = asked.many("group"), asked.cursor(str, 1), asked.limit()
    snapshot = request.app[STORE].current
    view = find_filesystem(snapshot, request.match_info["filesystem"])
    page, last = select_groups(view.groups, groups, after[0] if after else None, limit)
    data = {
        **filesystem_json(view),
        "groups": groups_json(page, view),
        "next_cursor": write_cursor(last) if last is not None else None,
    }
    return success(request, data, _warnings(snapshot, view))


def _warnings(snapshot: Snapshot, view: FilesystemView) -> list[str]:
    warnings = list(source_warnings(snapshot, view.filesystem))
    if view.untrusted_profiles:
        warnings.append(
            f"size_profile is null for {view.untrusted_profiles} of {len(view.groups)} groups: "
            "their bins do not add up to their files (Robinhood before 3.2 miscounts empty files)"
        )
    return warnings
