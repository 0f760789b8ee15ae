"""GET /api/v1/storage and /api/v1/storage/{filesystem}."""

import polars as pl
from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, storage_failure
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import filesystem_names, find_filesystem
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.selection import select_rows
from aggregator.api.storage_representation import filesystem_json, groups_json
from aggregator.api.visibility import sight_of
from aggregator.engine.view import View
from aggregator.model.view import Snapshot


async def list_filesystems(request: web.Request) -> web.Response:
    """Answer with the sums and the freshness of every file system that can be told about; warnings name the others."""
    Parameters(request)
    snapshot = request.app[STORE].current
    names = filesystem_names(snapshot)
    views = [find_filesystem(snapshot, name) for name in names if storage_failure(snapshot, name) is None]
    warnings = [warning for name in names for warning in source_warnings(snapshot, name)]
    return success(request, {"filesystems": [filesystem_json(view) for view in views]}, warnings)


async def get_filesystem(request: web.Request) -> web.Response:
    """Answer with the groups of one file system that the client may see, by name, page by page, and their users."""
    asked = Parameters(request, "group", "limit", "cursor")
    groups, after, limit = asked.many("group"), asked.cursor(str, 1), asked.limit()
    snapshot = request.app[STORE].current
    view = find_filesystem(snapshot, request.match_info["filesystem"])
    sight = sight_of(identity_of(request), request.app[SETTINGS].rules)
    seen = sight.groups_of(view)
    asked_for = seen.filter(pl.col("group").is_in(list(groups))) if groups else seen
    page, last = select_rows(asked_for, ("group",), after, limit)
    users = sight.spaces_of(view).join(page.select("group"), on="group", how="semi", maintain_order="left")
    audit(request, users["user"])
    data = {
        **filesystem_json(view),
        "groups": groups_json(view, page.to_dicts(), users),
        "next_cursor": write_cursor(*last) if last is not None else None,
    }
    return success(request, data, storage_warnings(snapshot, view))


def storage_warnings(snapshot: Snapshot, view: View) -> list[str]:
    """Say what is missing from an answer about a file system."""
    warnings = list(source_warnings(snapshot, view.name))
    untrusted = view["filesystem"]["untrusted_profiles"].sum()
    if untrusted:
        warnings.append(
            f"size_profile is null for {untrusted} of {view['groups'].height} groups: "
            "their bins do not add up to their files (Robinhood before 3.2 miscounts empty files)"
        )
    return warnings
