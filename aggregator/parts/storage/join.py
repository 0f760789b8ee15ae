"""Who uses how much space, on which tier, out of which quota?"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aggregator.engine.frame import Frames, pairs
from aggregator.engine.part import Inputs
from aggregator.model.storage import ENTRIES, Allocations, FilesystemUsage, QuotaCounts
from aggregator.parts.storage.inputs import Filesystem
from aggregator.parts.storage.profile import size_profile
from aggregator.parts.storage.quotas import allotted_quotas, group_quotas, user_quotas, with_owners_of_nothing

_GROUP: Final = ("group",)
_USER: Final = ("group", "user")
# HSM states whose current copy is on tape (the file's full size); the others are on disk only.
_ON_TAPE: Final = pl.col("hsm_state").is_in(["released", "retrieving", "synchro"])
_IS_FILE: Final = pl.col("type") == "file"


def join_storage(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Sum one file system's entries by group and by user in it, and put their quotas beside them.

    Groups that own nothing any more (Robinhood keeps their rows at 0) are not shown; a group with a quota is.
    """
    configured = inputs.get(Filesystem) or Filesystem("")
    usage, counts = inputs.get(FilesystemUsage), inputs.get(QuotaCounts)
    allocations = inputs.get(Allocations) or Allocations(at)
    entries = (usage.entries if usage else pl.DataFrame(schema=ENTRIES)).filter(pl.col("inodes") > 0)
    sums = _sums(entries, _GROUP, hsm=configured.hsm)
    if usage is not None:
        sums = with_owners_of_nothing(sums, allotted_quotas(configured, allocations), hsm=configured.hsm)
    groups, group_inodes = group_quotas(sums, _inodes(entries, _GROUP), configured, allocations, counts)
    of_users = _sums(entries, _USER, hsm=configured.hsm)
    users, user_inodes = user_quotas(of_users, _inodes(entries, _USER), configured, counts)
    return {
        "groups": groups.sort("group"),
        "users": users.sort(_USER),
        "group_inodes": group_inodes,
        "user_inodes": user_inodes,
        "group_hsm": _hsm(entries, _GROUP, hsm=configured.hsm),
        "user_hsm": _hsm(entries, _USER, hsm=configured.hsm),
        "members": pairs(allocations.group_members.get(configured.name, {}), "group", "user"),
        "filesystem": _filesystem(groups, configured, usage),
    }


def _sums(entries: pl.DataFrame, by: Sequence[str], *, hsm: bool) -> pl.DataFrame:
    """Add up each owner's entries: disk from the blocks of all states, tape from the size of what has a copy there."""
    tape = pl.col("size_bytes").filter(_ON_TAPE).sum() if hsm else pl.lit(None, dtype=pl.Int128)
    return entries.group_by(by).agg(
        disk_used_bytes=pl.col("disk_bytes").sum(),
        tape_used_bytes=tape,
        disk_inodes=pl.col("inodes").sum(),
        file_size_sum_bytes=pl.col("size_bytes").filter(_IS_FILE).sum(),
        file_size_bins=size_profile(_IS_FILE),
    )


def _inodes(entries: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count inodes by type: every inode lives on disk, those with a current copy also on tape."""
    tape = pl.when(_ON_TAPE.any()).then(pl.col("inodes").filter(_ON_TAPE).sum())
    return entries.group_by(*by, "type").agg(disk=pl.col("inodes").sum(), tape=tape).sort(*by, "type")


def _hsm(entries: pl.DataFrame, by: Sequence[str], *, hsm: bool) -> pl.DataFrame:
    """Add up the files of each HSM state."""
    state = pl.when(pl.col("hsm_state") == "").then(pl.lit("unknown")).otherwise(pl.col("hsm_state"))
    files = entries.filter(_IS_FILE & hsm).with_columns(state=state)
    return files.group_by(*by, "state").agg(hsm_bytes=pl.col("size_bytes").sum()).sort(*by, "state")


def _filesystem(groups: pl.DataFrame, configured: Filesystem, usage: FilesystemUsage | None) -> pl.DataFrame:
    untrusted = groups["file_size_bins"].null_count() if usage else 0
    facts = {
        "path": usage.path if usage else None,
        "hsm": configured.hsm,
        "scanned": configured.scanned,
        "updated_timestamp_seconds": usage.updated if usage else None,
        "scan_running": usage.scan_running if usage else None,
        "untrusted_profiles": untrusted,
    }
    return pl.DataFrame([facts])
