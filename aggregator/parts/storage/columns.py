"""The tables of a file system: its groups, the users in them, and how fresh that is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.model.storage import SIZE_BIN_EDGES

_ACCT_STAT: Final = "Robinhood ACCT_STAT"
_QUOTAS: Final = "lfs_quota or gpfs_exporter"
_LIMITS: Final = "allocations file, or gpfs_exporter: the soft limit, else the hard one"
_GROUP: Final = {"group": "group"}
_USER: Final = {"group": "group", "user": "user"}


def _column(
    name: str, help: str, dtype: Any = pl.Int128, sample: Sample | None = None, null: str = "not known"
) -> Column:
    return Column(name=name, dtype=dtype, help=help, null=null, sample=sample)


def _keys(labels: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(_column(name, f"The {name}.", pl.String) for name in labels)


def _used(family: Family) -> Iterator[Column]:
    yield _column(
        "disk_used_bytes", "Space that the blocks occupy.", sample=Sample(family=family, labels={"tier": "disk"})
    )
    yield _column("tape_used_bytes", "Size of the current copies on tape.", null="no HSM",
                  sample=Sample(family=family, labels={"tier": "tape"}))  # fmt: skip
    yield _column("disk_inodes", "Inodes of every type.")
    yield _column("file_size_sum_bytes", "Apparent size of the files.")


def _limit(prefix: str, name: str, help: str, source: str, cost: str) -> Column:
    """Declare a limit, with whose it is."""
    family = Family(name=f"{prefix}_{name}", help=help, cost=cost, source=source, labels=("source",))
    return _column(name, help, null="no limit", sample=Sample(family=family, label_columns={"source": "quota_source"}))


def _quota(prefix: str, owner: str, ratio_source: str) -> Iterator[Column]:
    """Declare what a group or a user may use, and how much of it is used."""
    cost, hard = f"{owner}s with a quota", f"{owner}s with a hard limit"
    on_disk = " on disk" if owner == "group" else ""
    yield _limit(prefix, "quota_bytes", f"Bytes{on_disk} that the {owner} may use.", _LIMITS, cost)
    yield _limit(prefix, "quota_inodes", f"Inodes that the {owner} may use.", _LIMITS, cost)
    yield _limit(prefix, "quota_hard_bytes", f"Bytes at which writes of the {owner} fail.", "gpfs_exporter", hard)
    yield _limit(prefix, "quota_hard_inodes", f"Inodes at which writes of the {owner} fail.", "gpfs_exporter", hard)
    doubt = Family(
        name=f"{prefix}_quota_in_doubt", cost=f"{owner}s × 2", source="gpfs_exporter", labels=("resource",),
        help=f"What counts against the {owner}'s limits and is not settled as used.",
    )  # fmt: skip
    ratio = Family(
        name=f"{prefix}_quota_used_ratio", help=f"Used ÷ quota of the {owner}{on_disk and ', on disk'}.",
        cost=f"{cost} × 2", source=ratio_source, labels=("resource", "source"),
    )  # fmt: skip
    for resource in ("bytes", "inodes"):
        of = {"resource": resource}
        yield _column(f"in_doubt_{resource}", doubt.help, sample=Sample(family=doubt, labels=of))
        share = Sample(family=ratio, labels=of, label_columns={"source": "quota_source"})
        yield _column(f"quota_used_ratio_{resource}", ratio.help, pl.Float64, share, "no limit, or not known")
        yield _column(f"counted_{resource}", f"What the quota's own source counts in {resource}.")
    yield _column("quota_source", "Whose the limits are.", pl.String, null="there are none")
    yield _column("counted_by", "Which exporter of quotas counts what is used.", pl.String, null="none does")


_PROFILE: Final = Family(
    name="hpc_storage_file_size_bytes",
    help="Files of the group by size; absent while Robinhood's size profile does not add up.",
    cost="groups × 12", source=f"{_ACCT_STAT} sz0 … sz1T of files", edges=tuple(map(float, SIZE_BIN_EDGES)),
)  # fmt: skip
_BINS: Final = "Files by size, cumulative."
GROUPS: Final = Table(
    name="groups", of="group", collect="storage", labels=_GROUP, size="disk_used_bytes",
    columns=(
        *_keys(_GROUP),
        *_used(Family(
            name="hpc_storage_used_bytes",
            help="Space of the group: blocks on disk, and the size of current copies on tape.",
            cost="groups × tiers", labels=("tier",),
            source=f"{_ACCT_STAT} 512 × blocks; size of released, retrieving, synchro. Without Robinhood {_QUOTAS}",
        )),
        *_quota("hpc_storage", "group", f"{_QUOTAS}, else {_ACCT_STAT}, ÷ limit"),
        _column("file_size_bins", _BINS, pl.List(pl.Int128), Sample(family=_PROFILE, total="file_size_sum_bytes"),
                "the bins do not add up"),
    ),
)  # fmt: skip
USERS: Final = Table(
    name="users", of="user in a group", collect="storage", labels=_USER, size="disk_used_bytes",
    columns=(
        *_keys(_USER),
        *_used(Family(
            name="hpc_storage_user_used_bytes",
            help="Space of the user in the group (in all, without group): blocks on disk, and current copies on tape.",
            cost="users in groups × tiers", source="as hpc_storage_used_bytes", labels=("tier",),
        )),
        *_quota("hpc_storage_user", "user", f"{_QUOTAS} ÷ limit"),
        _column("file_size_bins", _BINS, pl.List(pl.Int128), null="the bins do not add up"),
    ),
)  # fmt: skip
_INODES: Final = Family(
    name="hpc_storage_used_inodes", cost="groups × types × tiers", labels=("type", "tier"),
    help="Inodes of the group by type (any: quotas do not tell); all are on disk, those with a copy also on tape.",
    source=f"{_ACCT_STAT} count. Without Robinhood {_QUOTAS}",
)  # fmt: skip
_USER_INODES: Final = Family(
    name="hpc_storage_user_used_inodes", help="Inodes of the user in the group by type.",
    cost="users in groups × types", source="as hpc_storage_used_inodes", labels=("type",),
)  # fmt: skip
_HSM: Final = Family(
    name="hpc_storage_hsm_bytes", help="Apparent size of the group's files by HSM state.",
    cost="groups × states, with HSM only", source=f"{_ACCT_STAT} size by lhsm_status", labels=("state",),
)  # fmt: skip


def _tier(family: Family, **labels: str) -> Sample:
    return Sample(family=family, labels=labels, label_columns={"type": "type"})


_TYPE: Final = _column("type", "What they are, `any` where that is not known.", pl.String)
_STATE: Final = _column("state", "HSM state.", pl.String)
_BYTES: Final = "Apparent size of the files."
GROUP_INODES: Final = Table(
    name="group_inodes", of="type of inodes of a group", collect="storage", labels=_GROUP,
    columns=(
        *_keys(_GROUP), _TYPE,
        _column("disk", "Inodes.", sample=_tier(_INODES, tier="disk")),
        _column("tape", "Inodes with a current copy on tape.", sample=_tier(_INODES, tier="tape"), null="none"),
    ),
)  # fmt: skip
USER_INODES: Final = Table(
    name="user_inodes", of="type of inodes of a user in a group", collect="storage", labels=_USER,
    columns=(
        *_keys(_USER), _TYPE,
        _column("disk", "Inodes.", sample=_tier(_USER_INODES)),
        _column("tape", "Inodes with a current copy on tape.", null="none"),
    ),
)  # fmt: skip
GROUP_HSM: Final = Table(
    name="group_hsm", of="HSM state of a group", collect="storage", labels=_GROUP,
    columns=(
        *_keys(_GROUP), _STATE,
        _column("hsm_bytes", _BYTES, sample=Sample(family=_HSM, label_columns={"state": "state"})),
    ),
)  # fmt: skip
USER_HSM: Final = Table(
    name="user_hsm", of="HSM state of a user in a group", collect="storage", labels=_USER,
    columns=(*_keys(_USER), _STATE, _column("hsm_bytes", _BYTES)),
)  # fmt: skip
MEMBERS: Final = Table(
    name="members", of="user who may see a group", collect="storage", labels=_USER, columns=_keys(_USER)
)
FILESYSTEM: Final = Table(
    name="filesystem", of="file system", collect="storage", labels={},
    columns=(
        _column("path", "Where it is mounted.", pl.String),
        _column("hsm", "Whether it has an archive.", pl.Boolean),
        _column("scanned", "Whether Robinhood reads it; else all is from its quotas.", pl.Boolean),
        _column("updated_timestamp_seconds", "The time that the numbers stand for.", pl.Float64, Sample(family=Family(
            name="hpc_storage_last_update_timestamp_seconds", help="The time that the file system's numbers stand for.",
            cost="file systems", source="Robinhood VARS CL_LastCommit, LastScanEndTime"))),
        _column("scan_running", "Whether Robinhood scans it now.", pl.Boolean, Sample(family=Family(
            name="hpc_storage_scan_running", help="Whether Robinhood is scanning the file system now.",
            cost="file systems", source="Robinhood VARS LastScanStatus"))),
        _column("untrusted_profiles", "Groups whose size profile does not add up."),
    ),
)  # fmt: skip
TABLES: Final = (GROUPS, USERS, GROUP_INODES, USER_INODES, GROUP_HSM, USER_HSM, MEMBERS, FILESYSTEM)
