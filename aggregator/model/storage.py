"""What Robinhood and the allocations file know: space by owner, its freshness, quotas and awards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema

# Upper edges (inclusive) of Robinhood's size profile; the last bin is open.
SIZE_BIN_EDGES = (0, 31, 1023, 32767, 1048575, 2**25 - 1, 2**30 - 1, 2**35 - 1, 2**40 - 1)


# Sums of bytes may pass 2^64 where a database has nonsense in it, and must not wrap.
# One row per group of ACCT_STAT: what one owner has of one type in one HSM state. size_bytes is apparent, disk_bytes
# what the blocks occupy. size_bins has one count per bin of SIZE_BIN_EDGES and the open one. hsm_state is "" where the
# file system has no HSM.
ENTRIES: Final = schema(
    {
        "user": pl.String,
        "group": pl.String,
        "type": pl.String,
        "hsm_state": pl.String,
        "size_bytes": pl.Int128,
        "disk_bytes": pl.Int128,
        "inodes": pl.Int128,
        "size_bins": pl.List(pl.Int128),
    }
)
# What a quota's own source says of one owner: what it counts, its limits (null: none), and what is in doubt. Soft
# limits may be passed for a while, hard ones may not.
QUOTA_COUNTS: Final = schema(
    {
        "owner": pl.String,
        "used_bytes": pl.Int128,
        "used_inodes": pl.Int128,
        "soft_bytes": pl.Int128,
        "soft_inodes": pl.Int128,
        "hard_bytes": pl.Int128,
        "hard_inodes": pl.Int128,
        "in_doubt_bytes": pl.Int128,
        "in_doubt_inodes": pl.Int128,
    }
)


@dataclass(frozen=True, slots=True)
class FilesystemUsage:
    """One fetch of one Robinhood database (ENTRIES); updated is the epoch time that the numbers stand for."""

    filesystem: str
    time: float
    entries: pl.DataFrame
    updated: float | None = None
    scan_running: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """What a group or user may use of one file system; None is no limit. Hard limits are those that end writes."""

    bytes: int | None = None
    inodes: int | None = None
    hard_bytes: int | None = None
    hard_inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Award:
    """What an account may use on average over the year: CPUs and GPUs."""

    cpus: float | None = None
    gpus: float | None = None


@dataclass(frozen=True, slots=True)
class Allocations:
    """The allocations file: storage quotas by file system and group, awards by account.

    members are the users who may see a group of a file system (by file system and group), or a project of a cloud.
    """

    time: float
    quotas: Mapping[str, Mapping[str, StorageQuota]] = field(default_factory=dict)
    awards: Mapping[str, Award] = field(default_factory=dict)
    group_members: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    project_members: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCounts:
    """One fetch of a file system's quota series, by owner (QUOTA_COUNTS): groups, users or filesets.

    source is `lfs_quota` or `gpfs`, of_users says that the owners are users.
    """

    time: float
    counts: pl.DataFrame
    source: str
    of_users: bool = False
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
