"""Who uses how much space, on which tier, out of which quota?"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from aggregator.model.storage import FilesystemUsage, StorageEntry, StorageQuota
from aggregator.model.view import FilesystemView, SpaceUsed

# HSM states whose current copy is on tape (the file's full size); the others are on disk only.
ON_TAPE = frozenset({"released", "retrieving", "synchro"})
_BINS = 10


def join_storage(
    usage: FilesystemUsage, hsm: bool, quotas: Mapping[str, StorageQuota], quota_source: str
) -> FilesystemView:
    """Sum one file system's entries by group and by user in it.

    Groups that own nothing any more (Robinhood keeps their rows at 0) are not shown; a group with a quota is.
    """
    by_group: dict[str, list[StorageEntry]] = defaultdict(list)
    by_user: dict[tuple[str, str], list[StorageEntry]] = defaultdict(list)
    for entry in usage.entries:
        if entry.inodes > 0:
            by_group[entry.group].append(entry)
            by_user[entry.group, entry.user].append(entry)
    groups = tuple(
        _space(usage.filesystem, group, "", by_group.get(group, []), hsm, quotas.get(group), quota_source)
        for group in sorted(by_group.keys() | quotas.keys())
    )
    users = tuple(_space(usage.filesystem, group, user, by_user[group, user], hsm) for group, user in sorted(by_user))
    untrusted = sum(1 for space in groups if space.file_size_bins is None)
    return FilesystemView(
        filesystem=usage.filesystem, time=usage.time, groups=groups, users=users, updated=usage.updated,
        scan_running=usage.scan_running, path=usage.path, hsm=hsm, untrusted_profiles=untrusted,
    )  # fmt: skip


def _space(
    filesystem: str,
    group: str,
    user: str,
    entries: list[StorageEntry],
    hsm: bool,
    quota: StorageQuota | None = None,
    quota_source: str = "",
) -> SpaceUsed:
    """Add up one owner's entries: disk from the blocks of all states, tape from the size of those with a copy there."""
    used = {"disk": sum(entry.disk_bytes for entry in entries)}
    if hsm:
        used["tape"] = sum(entry.size_bytes for entry in entries if entry.hsm_state in ON_TAPE)
    files = [entry for entry in entries if entry.type == "file"]
    return SpaceUsed(
        filesystem=filesystem,
        group=group,
        user=user,
        used_bytes=used,
        inodes=_inodes(entries, hsm),
        hsm_bytes=_hsm_bytes(files) if hsm else {},
        file_size_bins=_profile(files),
        file_size_sum=sum(entry.size_bytes for entry in files),
        quota=quota,
        quota_source=quota_source if quota else "",
    )


def _inodes(entries: Iterable[StorageEntry], hsm: bool) -> dict[tuple[str, str], int]:
    """Count inodes by (type, tier): every inode lives on disk, those with a current copy also on tape."""
    counts: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        counts[entry.type, "disk"] += entry.inodes
        if hsm and entry.hsm_state in ON_TAPE:
            counts[entry.type, "tape"] += entry.inodes
    return dict(counts)


def _hsm_bytes(files: Iterable[StorageEntry]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for entry in files:
        sizes[entry.hsm_state or "unknown"] += entry.size_bytes
    return dict(sizes)


def _profile(files: list[StorageEntry]) -> tuple[int, ...] | None:
    """Make the cumulative size profile; None where the bins do not sum to the count.

    Robinhood 2.5 to 3.1 miscount the bin of empty files, which shows in that sum.
    """
    if not all(len(entry.size_bins) == _BINS for entry in files):
        return None
    bins = [sum(entry.size_bins[number] for entry in files) for number in range(_BINS)]
    if sum(bins) != sum(entry.inodes for entry in files):
        return None
    cumulative, total = [], 0
    for count in bins:
        total += count
        cumulative.append(total)
    return tuple(cumulative)
