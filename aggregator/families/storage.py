"""hpc_storage_*: space per group and per user in it, quotas, and how fresh the numbers are."""

from collections.abc import Iterable, Sequence

from aggregator.families.spec import Entity, Family, Histogram, LabelValues, View
from aggregator.model.storage import SIZE_BIN_EDGES
from aggregator.model.view import FilesystemView, SpaceUsed

_ACCT_STAT = "Robinhood ACCT_STAT"
_QUOTAS = "lfs_quota or gpfs_exporter"
_LIMITS = "allocations file, or gpfs_exporter: the soft limit, else the hard one"


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


def _hard_bytes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float | None]]:
    yield (space.quota_source,), space.quota.hard_bytes if space.quota else None


def _hard_inodes(space: SpaceUsed) -> Iterable[tuple[LabelValues, float | None]]:
    yield (space.quota_source,), space.quota.hard_inodes if space.quota else None


def _in_doubt(space: SpaceUsed) -> Iterable[tuple[LabelValues, float]]:
    return (((resource,), count) for resource, count in space.in_doubt.items())


def _file_sizes(space: SpaceUsed) -> Histogram | None:
    if space.file_size_bins is None or space.file_size_sum is None:
        return None
    edges = (*map(float, SIZE_BIN_EDGES), float("inf"))
    return Histogram(tuple(zip(edges, space.file_size_bins, strict=True)), space.file_size_sum)


def _more_of_quotas(prefix: str, owner: str, entity: Entity[SpaceUsed]) -> tuple[Family[SpaceUsed], ...]:
    """Declare what only quotas that count by themselves know."""
    return (
        Family(
            name=f"{prefix}_hard_bytes", help=f"Bytes at which writes of the {owner} fail.",
            entity=entity, cost=f"{owner}s with a hard limit", source="gpfs_exporter",
            labels=("source",), samples=_hard_bytes,
        ),
        Family(
            name=f"{prefix}_hard_inodes", help=f"Inodes at which writes of the {owner} fail.",
            entity=entity, cost=f"{owner}s with a hard limit", source="gpfs_exporter",
            labels=("source",), samples=_hard_inodes,
        ),
        Family(
            name=f"{prefix}_in_doubt", help=f"What counts against the {owner}'s limits and is not settled as used.",
            entity=entity, cost=f"{owner}s × 2", source="gpfs_exporter",
            labels=("resource",), samples=_in_doubt,
        ),
    )  # fmt: skip


GROUP_FAMILIES: tuple[Family[SpaceUsed], ...] = (
    Family(
        name="hpc_storage_used_bytes",
        help="Space of the group: blocks on disk, and the size of current copies on tape.",
        entity=GROUP, cost="groups × tiers",
        source=f"{_ACCT_STAT} 512 × blocks; size of released, retrieving, synchro. Without Robinhood {_QUOTAS}",
        labels=("tier",), samples=_used_bytes,
    ),
    Family(
        name="hpc_storage_used_inodes",
        help="Inodes of the group by type (any: quotas do not tell); all are on disk, those with a copy also on tape.",
        entity=GROUP, cost="groups × types × tiers", source=f"{_ACCT_STAT} count. Without Robinhood {_QUOTAS}",
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
        entity=GROUP, cost="groups with a quota", source=_LIMITS,
        labels=("source",), samples=_quota_bytes,
    ),
    Family(
        name="hpc_storage_quota_inodes", help="Inodes that the group may use.",
        entity=GROUP, cost="groups with a quota", source=_LIMITS,
        labels=("source",), samples=_quota_inodes,
    ),
    *_more_of_quotas("hpc_storage_quota", "group", GROUP),
    Family(
        name="hpc_storage_quota_used_ratio", help="Used ÷ quota of the group, on disk.",
        entity=GROUP, cost="groups with a quota × 2", source=f"{_QUOTAS}, else {_ACCT_STAT}, ÷ limit",
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
        help="Space of the user in the group (in all, without group): blocks on disk, and current copies on tape.",
        entity=USER, cost="users in groups × tiers", source="as hpc_storage_used_bytes",
        labels=("tier",), samples=_used_bytes,
    ),
    Family(
        name="hpc_storage_user_used_inodes", help="Inodes of the user in the group by type.",
        entity=USER, cost="users in groups × types", source="as hpc_storage_used_inodes",
        labels=("type",), samples=_user_inodes,
    ),
    Family(
        name="hpc_storage_user_quota_bytes", help="Bytes that the user may use.",
        entity=USER, cost="users with a quota", source=_LIMITS, labels=("source",), samples=_quota_bytes,
    ),
    Family(
        name="hpc_storage_user_quota_inodes", help="Inodes that the user may use.",
        entity=USER, cost="users with a quota", source=_LIMITS, labels=("source",), samples=_quota_inodes,
    ),
    *_more_of_quotas("hpc_storage_user_quota", "user", USER),
    Family(
        name="hpc_storage_user_quota_used_ratio", help="Used ÷ quota of the user.",
        entity=USER, cost="users with a quota × 2", source=f"{_QUOTAS} ÷ limit",
        labels=("resource", "source"), samples=_quota_ratio,
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
        value=lambda view: float(view.scan_running) if view.scanned else None,
    ),
)  # fmt: skip
