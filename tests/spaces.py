"""Views of file systems for tests: what each owner has, written as it is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator.app.layouts import FILESYSTEMS
from aggregator.engine.frame import frame_of
from aggregator.engine.view import View
from aggregator.model.storage import StorageQuota
from tests.builders import NOW

_Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Space:
    """What a group has, or a user in it: bytes by tier, inodes by (type, tier), counts and doubts by resource."""

    group: str
    user: str = ""
    used_bytes: Mapping[str, int] = field(default_factory=dict)
    inodes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    hsm_bytes: Mapping[str, int] = field(default_factory=dict)
    file_size_bins: Sequence[int] | None = None
    file_size_sum: int | None = None
    quota: StorageQuota | None = None
    quota_source: str | None = None
    counted: Mapping[str, int] = field(default_factory=dict)
    counted_by: str | None = None
    in_doubt: Mapping[str, int] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        quota = self.quota or StorageQuota()
        used = self.counted if self.counted_by else {"bytes": self.used_bytes.get("disk")}
        return {
            "group": self.group, "user": self.user, "file_size_bins": self.file_size_bins,
            **{f"{tier}_used_bytes": self.used_bytes.get(tier) for tier in ("disk", "tape")},
            "file_size_sum_bytes": self.file_size_sum, "quota_source": self.quota_source,
            "quota_bytes": quota.bytes, "quota_inodes": quota.inodes, "quota_hard_bytes": quota.hard_bytes,
            "quota_hard_inodes": quota.hard_inodes, "counted_by": self.counted_by,
            **{f"counted_{name}": self.counted.get(name) for name in ("bytes", "inodes")},
            **{f"in_doubt_{name}": self.in_doubt.get(name) for name in ("bytes", "inodes")},
            "quota_used_ratio_bytes": used["bytes"] / quota.bytes if quota.bytes and used.get("bytes") else None,
        }  # fmt: skip

    def inode_rows(self) -> _Rows:
        types = dict.fromkeys(kind for kind, _ in self.inodes)
        return [
            {"group": self.group, "user": self.user, "type": kind, **{
                tier: self.inodes.get((kind, tier)) for tier in ("disk", "tape")}}
            for kind in types
        ]  # fmt: skip

    def hsm_rows(self) -> _Rows:
        return [
            {"group": self.group, "user": self.user, "state": state, "hsm_bytes": size}
            for state, size in self.hsm_bytes.items()
        ]


def make_filesystem(
    *groups: Space,
    name: str = "project",
    time: float = NOW,
    users: Sequence[Space] = (),
    members: Mapping[str, frozenset[str]] | None = None,
    **facts: Any,
) -> View:
    rows: dict[str, _Rows] = {
        "groups": [space.row() for space in groups],
        "users": [space.row() for space in users],
        "group_inodes": [row for space in groups for row in space.inode_rows()],
        "user_inodes": [row for space in users for row in space.inode_rows()],
        "group_hsm": [row for space in groups for row in space.hsm_rows()],
        "user_hsm": [row for space in users for row in space.hsm_rows()],
        "members": [{"group": group, "user": user} for group, of in (members or {}).items() for user in of],
        "filesystem": [{"hsm": False, "scanned": True, **facts}],
    }
    return View(name, time, {table: _frame(table, found) for table, found in rows.items()})


def _frame(table: str, rows: _Rows) -> Any:
    declared = FILESYSTEMS.tables[table]
    return frame_of(declared, {name: [row.get(name) for row in rows] for name in declared.schema})


def rich_space(name: str, user: str = "") -> Space:
    return Space(
        group=name, user=user, used_bytes={"disk": 2**63 + 2**20, "tape": 2**66},
        inodes={("file", "disk"): 12, ("dir", "disk"): 3, ("file", "tape"): 4},
        hsm_bytes={"released": 2**66, "unknown": 0}, file_size_bins=(1, 2, 3, 4, 5, 6, 7, 8, 9, 12),
        file_size_sum=2**67, quota=StorageQuota(10**15, 1_000_000, 10**16, 2_000_000), quota_source="allocations",
        in_doubt={"bytes": 5, "inodes": 0},
    )  # fmt: skip


def rich_filesystem(names: tuple[str, ...] = ("alice", "bob"), filesystem: str = "project") -> View:
    """Make a view in which every family of a file system has samples."""
    return make_filesystem(
        *(rich_space(name) for name in names), name=filesystem, users=[rich_space(name, name) for name in names],
        updated_timestamp_seconds=NOW - 30.0, scan_running=True, hsm=True,
    )  # fmt: skip
