"""How space looks in JSON: pure functions, one per class of the model."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aggregator.api.representation import Json, times
from aggregator.model.storage import SIZE_BIN_EDGES, StorageQuota
from aggregator.model.view import FilesystemView, SpaceUsed


def filesystem_json(view: FilesystemView) -> Json:
    """Show one file system: how fresh its numbers are, and their sums."""
    used: Counter[str] = Counter()
    inodes: Counter[tuple[str, str]] = Counter()
    for space in view.groups:
        used.update(space.used_bytes)
        inodes.update(space.inodes)
    return {
        "filesystem": view.filesystem,
        "path": view.path or None,
        "hsm": view.hsm,
        **times("as_of", view.time),
        **times("updated", view.updated),
        "scan_running": view.scan_running if view.scanned else None,
        "groups_count": len(view.groups),
        "used_bytes": dict(used),
        "inodes": _inodes_json(inodes),
    }


def groups_json(page: Iterable[SpaceUsed], users_seen: Iterable[SpaceUsed]) -> list[Json]:
    """Show groups of a file system with the users in them."""
    users: defaultdict[str, list[SpaceUsed]] = defaultdict(list)
    for user in users_seen:
        users[user.group].append(user)
    return [
        {
            "group": space.group,
            **space_json(space),
            "quota": quota_json(space),
            "users": [{"user": user.user, **space_json(user)} for user in users.get(space.group, ())],
        }
        for space in page
    ]


def space_json(space: SpaceUsed) -> Json:
    """Show what one owner has."""
    return {
        "used_bytes": dict(space.used_bytes),
        "inodes": _inodes_json(space.inodes),
        "hsm_bytes": dict(space.hsm_bytes),
        "size_profile": None if space.file_size_bins is None else _profile_json(space.file_size_bins),
        "file_size_sum_bytes": space.file_size_sum,
    }


def _inodes_json(inodes: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Nest type → tier → count."""
    nested: dict[str, dict[str, int]] = {}
    for (kind, tier), count in inodes.items():
        nested.setdefault(kind, {})[tier] = count
    return nested


def _profile_json(cumulative: tuple[int, ...]) -> list[dict[str, Any]]:
    """Pair each cumulative count with its upper edge; the last bin has none."""
    return [{"le": edge, "count": count} for edge, count in zip((*SIZE_BIN_EDGES, None), cumulative, strict=True)]


def quota_json(space: SpaceUsed) -> Json | None:
    """Show the quota, how much of it is used on disk, and what its own source counts; None without either."""
    if space.quota is None and not space.counted_by:
        return None
    quota = space.quota or StorageQuota()
    return {
        "bytes": quota.bytes,
        "inodes": quota.inodes,
        "hard_bytes": quota.hard_bytes,
        "hard_inodes": quota.hard_inodes,
        "used_ratio": _both(space.quota_used()),
        "source": space.quota_source or None,
        "counted": _both(space.counted) if space.counted_by else None,
        "in_doubt": _both(space.in_doubt) if space.in_doubt else None,
        "counted_by": space.counted_by or None,
    }


def _both(known: Mapping[str, float]) -> Json:
    return {"bytes": known.get("bytes"), "inodes": known.get("inodes")}
