"""GET /api/v1/storage and /api/v1/storage/{filesystem}."""

from typing import TypedDict

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, storage_failure
from aggregator.api.keys import STORE
from aggregator.api.lookup import filesystem_names, find_filesystem
from aggregator.api.representation import Json
from aggregator.api.storage_representation import FilesystemShown, filesystem_json
from aggregator.api.unchanged import of_snapshot
from aggregator.engine.view import View
from aggregator.model.view import Snapshot


class FilesystemsShown(TypedDict):
    """Every file system."""

    filesystems: list[FilesystemShown]


@of_snapshot
async def list_filesystems(request: web.Request) -> web.Response:
    """Answer with the sums and the freshness of every file system that can be told about; warnings name the others."""
    return success(request, *read_filesystems(request))


def read_filesystems(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of all file systems, and what is missing."""
    snapshot = request.app[STORE].current
    names = filesystem_names(snapshot)
    views = [find_filesystem(snapshot, name) for name in names if storage_failure(snapshot, name) is None]
    warnings = [warning for name in names for warning in source_warnings(snapshot, name)]
    return {"filesystems": [filesystem_json(view) for view in views]}, warnings


@of_snapshot
async def get_filesystem(request: web.Request) -> web.Response:
    """Answer with the sums and the freshness of one file system."""
    return success(request, *read_filesystem(request))


def read_filesystem(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the file system in the path, and what is missing.

    Raises ApiError.
    """
    snapshot = request.app[STORE].current
    view = find_filesystem(snapshot, request.match_info["filesystem"])
    return filesystem_json(view), storage_warnings(snapshot, view)


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
