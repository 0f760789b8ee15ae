"""Who uses how much of which quota, as the quota's own source counts it?"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from aggregator.model.storage import QuotaCount, StorageQuota
from aggregator.model.view import FilesystemView, SpaceUsed

# Quotas count inodes of every type together.
ANY_TYPE = "any"


def add_group_counts(
    view: FilesystemView, counts: Iterable[QuotaCount], quotas: Mapping[str, StorageQuota], source: str
) -> FilesystemView:
    """Add what quotas count of groups or filesets; limits that their source has not got are those of `quotas`."""
    groups = {space.group: space for space in view.groups}
    for count in counts:
        space = groups.get(count.owner, SpaceUsed(view.filesystem, count.owner))
        groups[count.owner] = _counted(space, count, quotas.get(count.owner), source, scanned=view.scanned)
    for group in quotas.keys() - groups.keys():
        groups[group] = SpaceUsed(view.filesystem, group, quota=quotas[group], quota_source="allocations")
    return replace(view, groups=tuple(groups[group] for group in sorted(groups)))


def add_user_counts(view: FilesystemView, counts: Iterable[QuotaCount], source: str) -> FilesystemView:
    """Add what quotas count of users, in whatever group: beside Robinhood's rows by group, under no group."""
    users = {(space.group, space.user): space for space in view.users}
    for count in counts:
        space = SpaceUsed(view.filesystem, "", count.owner)
        users["", count.owner] = _counted(space, count, None, source, scanned=view.scanned)
    return replace(view, users=tuple(users[key] for key in sorted(users)))


def _counted(
    space: SpaceUsed, count: QuotaCount, allocated: StorageQuota | None, source: str, *, scanned: bool
) -> SpaceUsed:
    own = _limits(count)
    quota = own or allocated
    counted = {"bytes": count.used_bytes, "inodes": count.used_inodes}
    in_doubt = {"bytes": count.in_doubt_bytes, "inodes": count.in_doubt_inodes}
    space = replace(
        space,
        quota=quota,
        quota_source=source if own else "allocations" if allocated else "",
        counted=_known(counted),
        counted_by=source,
        in_doubt=_known(in_doubt),
    )
    return space if scanned else _used(space, count)


def _used(space: SpaceUsed, count: QuotaCount) -> SpaceUsed:
    """Where Robinhood does not tell, what the quota counts is what is used."""
    return replace(
        space,
        used_bytes={} if count.used_bytes is None else {"disk": count.used_bytes},
        inodes={} if count.used_inodes is None else {(ANY_TYPE, "disk"): count.used_inodes},
    )


def _limits(count: QuotaCount) -> StorageQuota | None:
    """Give the soft limits, or the hard ones where there is no soft one; None without any."""
    quota = StorageQuota(
        bytes=count.hard_bytes if count.soft_bytes is None else count.soft_bytes,
        inodes=count.hard_inodes if count.soft_inodes is None else count.soft_inodes,
        hard_bytes=count.hard_bytes,
        hard_inodes=count.hard_inodes,
    )
    return None if quota == StorageQuota() else quota


def _known(values: Mapping[str, int | None]) -> dict[str, int]:
    return {name: value for name, value in values.items() if value is not None}
