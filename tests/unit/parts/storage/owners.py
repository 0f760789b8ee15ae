"""Joins one file system, and says what its rows say."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from aggregator.app.layouts import FILESYSTEMS
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.model.storage import QUOTA_COUNTS, Allocations, FilesystemUsage, QuotaCounts, StorageQuota
from aggregator.parts.storage.inputs import Filesystem
from tests.builders import NOW

Row = dict[str, Any]


def counts(*owners: Mapping[str, Any], source: str = "gpfs", of_users: bool = False) -> QuotaCounts:
    """Make what a quota's own source counts of some owners."""
    frame = pl.DataFrame(owners, schema=QUOTA_COUNTS)
    return QuotaCounts(time=NOW, counts=frame, source=source, of_users=of_users)


def join(
    usage: FilesystemUsage | None,
    counted: QuotaCounts | None = None,
    quotas: Mapping[str, StorageQuota] | None = None,
    *,
    hsm: bool = False,
    own_limits: bool = False,
) -> Frames:
    """Join the file system `project`; it is scanned when usage is given."""
    facts = Filesystem("project", hsm=hsm, scanned=usage is not None, has_own_limits=own_limits)
    joined = FILESYSTEMS.join(Inputs(facts, usage, counted, Allocations(NOW, {"project": quotas or {}})), NOW)
    assert not joined.failed
    return joined.frames


def rows(frames: Frames, table: str) -> Sequence[Row]:
    return frames[table].to_dicts()


def used(row: Row) -> dict[str, int]:
    """Give what is used by tier, as far as it is known."""
    return {tier: row[f"{tier}_used_bytes"] for tier in ("disk", "tape") if row[f"{tier}_used_bytes"] is not None}


def ratios(row: Row) -> dict[str, float]:
    """Give used ÷ quota by resource, as far as it is known."""
    both = {name: row[f"quota_used_ratio_{name}"] for name in ("bytes", "inodes")}
    return {name: ratio for name, ratio in both.items() if ratio is not None}


def inodes(frames: Frames, table: str = "group_inodes") -> dict[tuple[str, str], int]:
    """Give inodes by type and tier."""
    return {
        (row["type"], tier): row[tier]
        for row in rows(frames, table)
        for tier in ("disk", "tape")
        if row[tier] is not None
    }
