"""hpc_storage_*: space per group and per user in it, quotas, and how fresh the numbers are."""

from collections.abc import Iterable, Sequence

from aggregator.families.spec import Entity, Family, Histogram, LabelValues, View
from aggregator.model.storage import SIZE_BIN_EDGES
from aggregator.model.view import FilesystemView, SpaceUsed

_ACCT_STAT = "Robinhood ACCT_STAT"


def _groups(view: View) -> Sequence[SpaceUsed]:
    return view.groups if isinstance(view, FilesystemView) else ()


def _users(view: View) -> Sequence[SpaceUsed]:
    return view.users if isinstance(view, FilesystemView) else ()


def _filesystem(view: View) -> Sequence[FilesystemView]:
    return (view,) if isinstance(view, FilesystemView) else ()


GROUP: Entity[SpaceUsed] = Entity(
    name="group",
    group="storage",
    labels=("filesystem", "group"),
    of=_groups,
    label_values=lambda _, space: (space.filesystem, space.group),
)
USER: Entity[SpaceUsed] = Entity(
    name="user in a group",
    group="storage",
    labels=("filesystem", "group", "user"),
    of=_users,
    label_values=lambda _, space: (space.filesystem, space.group, space.user),
)
FILESYSTEM: Entity[FilesystemView] = Entity(
    name="file system",
    group="storage",
    labels=("filesystem",),
    of=_filesystem,
    label_values=lambda _, view: (view.filesystem,),
)


def _used_bytes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float]]:
    return (((tier,), used) for tier, used in space.used_bytes.items())


def _used_inodes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float]]:
    return ((key, count) for key, count in space.inodes.items())


def _user_inodes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float]]:
    return (((kind,), count) for (kind, tier), count in space.inodes.items() if tier == "disk")


def _hsm_bytes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float]]:
    return (((state,), size) for state, size in space.hsm_bytes.items())


def _quota_bytes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float | None]]:
    yield (space.quota_source,), space.quota.bytes if space.quota else None


def _quota_inodes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float | None]]:
    yield (space.quota_source,), space.quota.inodes if space.quota else None


def _quota_ratio(space: SpaceUsed) -> Iterable[tuple[LabelValues, float | None]]:
    for resource, ratio in space.quota_used().items():
        yield (resource, space.quota_source), ratio


def _file_sizes(space: SpaceUsed) -> Histogram | None:
    if space.file_size_bins is None:
        return None
    edges = (*map(float, SIZE_BIN_EDGES), float("inf"))
    return Histogram(tuple(zip(edges, space.file_size_bins, strict=True)), space.file_size_sum)


GROUP_FAMILIES: tuple[Family[SpaceUsed], ...] = (
    Family(
        name="hpc_storage_used_bytes",
        help="Space of the group: blocks on disk, and the size of current copies on tape.",
        entity=GROUP, cost="groups × tiers", source=f"{_ACCT_STAT} 512 × blocks; size of released, retrieving, synchro",
        labels=("tier",), samples=_used_bytes,
    ),
    Family(
        name="hpc_storage_used_inodes",
        help="Inodes of the group by type; every one is on disk, those with a current copy also on tape.",
        entity=GROUP, cost="groups × types × tiers", source=f"{_ACCT_STAT} count",
        labels=("type", "tier"), samples=_used_inodes,
    ),
    Family(
        name="hpc_storage_hsm_bytes",
        help="Apparent size of the group's files by HSM state.",
        entity=GROUP, cost="groups × states, with HSM only", source=f"{_ACCT_STAT} size by lhsm_status",
        labels=("state",), samples=_hsm_bytes,
    ),
    Family(
        name="hpc_storage_quota_bytes", help="Bytes on disk that the group may use.",
        entity=GROUP, cost="groups with a quota", source="allocations file",
        labels=("source",), samples=_quota_bytes,
    ),
    Family(
        name="hpc_storage_quota_inodes", help="Inodes that the group may use.",
        entity=GROUP, cost="groups with a quota", source="allocations file",
        labels=("source",), samples=_quota_inodes,
    ),
    Family(
        name="hpc_storage_quota_used_ratio", help="Used ÷ quota of the group, on disk.",
        entity=GROUP, cost="groups with a quota × 2", source=f"{_ACCT_STAT} ÷ allocations file",
        labels=("resource", "source"), samples=_quota_ratio,
    ),
    Family(
        name="hpc_storage_file_size_bytes",
        help="Files of the group by size; absent while Robinhood's size profile does not add up.",
        entity=GROUP, cost="groups × 12", source=f"{_ACCT_STAT} sz0 … sz1T of files",
        histogram=_file_sizes,
    ),
)  # fmt: skip
USER_FAMILIES: tuple[Family[SpaceUsed], ...] = (
    Family(
        name="hpc_storage_user_used_bytes",
        help="Space of the user in the group: blocks on disk, and the size of current copies on tape.",
        entity=USER, cost="users in groups × tiers", source=f"{_ACCT_STAT} as hpc_storage_used_bytes",
        labels=("tier",), samples=_used_bytes,
    ),
    Family(
        name="hpc_storage_user_used_inodes", help="Inodes of the user in the group by type.",
        entity=USER, cost="users in groups × types", source=f"{_ACCT_STAT} count",
        labels=("type",), samples=_user_inodes,
    ),
)  # fmt: skip
FILESYSTEM_FAMILIES: tuple[Family[FilesystemView], ...] = (
    Family(
        name="hpc_storage_last_update_timestamp_seconds",
        help="The time that the file system's numbers stand for.",
        entity=FILESYSTEM, cost="file systems", source="Robinhood VARS CL_LastCommit, LastScanEndTime",
        value=lambda view: view.updated,
    ),
    Family(
        name="hpc_storage_scan_running", help="Whether Robinhood is scanning the file system now.",
        entity=FILESYSTEM, cost="file systems", source="Robinhood VARS LastScanStatus",
        value=lambda view: float(view.scan_running),
    ),
)  # fmt: skip
