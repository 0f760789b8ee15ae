"""What the synthetic groups store, how it grows, and the quotas and awards that go with it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl

from aggregator.model.storage import ENTRIES, SIZE_BIN_EDGES, Allocations, Award, StorageQuota

if TYPE_CHECKING:
    from aggregator.synthetic.cluster import SyntheticCluster

FILESYSTEMS = ("project", "scratch")
# A user who has left: the id is not resolved any more, the files are still there.
_GONE_USER = "3047112"
_TERABYTE = 10**12
_QUOTA_STEPS = tuple(size * _TERABYTE for size in (1, 10, 50, 100, 200, 500, 1000, 2000, 5000))
_INODE_QUOTA = 5_000_000
_NEARLY_FULL = 0.975
_DAY = 86400.0
# Share of files and mean size in each bin of SIZE_BIN_EDGES and the open one.
_SHARES = (0.02, 0.01, 0.09, 0.34, 0.3595, 0.15, 0.025, 0.005, 0.0005, 0.0)
_MEAN_SIZES = (0, 20, 500, 12_000, 300_000, 8 * 2**20, 200 * 2**20, 6 * 2**30, 150 * 2**30, 2 * 2**40)
# HSM state → share of the files, share of their bytes that is on disk.
_HSM_STATES = {
    "new": (0.18, 1.0), "modified": (0.02, 1.0), "archiving": (0.01, 1.0), "synchro": (0.35, 1.0),
    "retrieving": (0.002, 0.3), "released": (0.438, 0.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owner:
    """One user's files of one group on one file system, and their growth per day (ratio)."""

    user: str
    group: str
    files: int
    growth: float


def make_owners(cluster: "SyntheticCluster", filesystem: str) -> tuple[Owner, ...]:
    """Draw who owns how many files; the same for every source of the same cluster."""
    rng = Random(f"{cluster.seed}/{filesystem}")  # noqa: S311 - a reproducible model, not a secret
    groups = cluster.population.groups
    members: defaultdict[str, list[str]] = defaultdict(list)
    for user in cluster.population.users:
        # The children of an award's account share its group.
        for group in dict.fromkeys(account.removesuffix("_cpu").removesuffix("_gpu") for account in user.accounts):
            members[group].append(user.name)
    owners = [
        Owner(user, group, _draw_files(rng), rng.uniform(0.0, 0.001)) for group in groups for user in members[group]
    ]
    owners.append(Owner(_GONE_USER, groups[0], _draw_files(rng), 0.0))
    return tuple(owners)


def entries_of(owners: Sequence[Owner], hsm: bool, days: float) -> pl.DataFrame:
    """Give the rows of all owners after so many days (ENTRIES)."""
    rows = [entry for owner in owners for entry in _entries(owner, hsm, days)]
    return pl.DataFrame(rows, schema=ENTRIES, orient="row")


def synthetic_allocations(cluster: "SyntheticCluster") -> Allocations:
    """Write the allocations file of the cluster: quotas with room, but for one nearly full group, and the awards."""
    quotas = {filesystem: _quotas(cluster, filesystem) for filesystem in FILESYSTEMS}
    return Allocations(cluster.start, quotas, _awards(cluster))


def _draw_files(rng: Random) -> int:
    return 1000 + int(rng.lognormvariate(11.0, 1.0))


def _entries(owner: Owner, hsm: bool, days: float) -> Iterator[tuple[Any, ...]]:
    files = int(owner.files * (1 + owner.growth * days))
    states = _HSM_STATES if hsm else {"": (1.0, 1.0)}
    for state, (share, on_disk) in states.items():
        yield _files(owner, state, int(files * share), on_disk)
    directories, links = max(1, files // 12), files // 60
    yield owner.user, owner.group, "dir", "", directories * 4096, directories * 4096, directories, []
    yield owner.user, owner.group, "symlink", "", links * 40, 0, links, []


def _files(owner: Owner, state: str, inodes: int, on_disk: float) -> tuple[Any, ...]:
    bins = [int(inodes * share) for share in _SHARES]
    bins[SIZE_BIN_EDGES.index(32767)] += inodes - sum(bins)
    size = sum(count * mean for count, mean in zip(bins, _MEAN_SIZES, strict=True))
    # Blocks of 4 KiB: half a block is lost per file; a released file keeps nothing but its inode.
    disk = int(size * on_disk) + (inodes * 2048 if on_disk else 0)
    return owner.user, owner.group, "file", state, size, disk, inodes, bins


def _quotas(cluster: "SyntheticCluster", filesystem: str) -> dict[str, StorageQuota]:
    entries = entries_of(make_owners(cluster, filesystem), filesystem == "project", 0.0)
    used = dict.fromkeys(cluster.population.groups, 0)
    used |= dict(entries.group_by("group").agg(pl.col("disk_bytes").sum()).iter_rows())
    quotas = {group: StorageQuota(_round_quota(size), _INODE_QUOTA) for group, size in used.items()}
    fullest = max(used, key=lambda group: used[group])
    quotas[fullest] = StorageQuota(int(used[fullest] / _NEARLY_FULL), _INODE_QUOTA)
    return quotas


def _round_quota(size: int) -> int:
    return next((step for step in _QUOTA_STEPS if step > size * 1.2), size * 2)


def _awards(cluster: "SyntheticCluster") -> dict[str, Award]:
    """Award CPUs and GPUs to the children of the rrg- accounts, unequally."""
    awards: dict[str, Award] = {}
    for number, name in enumerate(cluster.population.accounts):
        if name.endswith("_cpu"):
            awards[name] = Award(cpus=50.0 + number % 5 * 75)
        elif name.endswith("_gpu"):
            awards[name] = Award(gpus=2.0 + number % 4 * 3)
    return awards
