"""Who uses how much of which quota: by the allocations file, or as the quota's own source counts it?"""

from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.frame import ratio
from aggregator.model.storage import QUOTA_COUNTS, Allocations, QuotaCounts
from aggregator.parts.storage.inputs import Filesystem
from aggregator.parts.storage.profile import BINS

# Quotas count inodes of every type together.
_ANY_TYPE: Final = "any"
_ALLOCATIONS: Final = "allocations"
_LIMITS: Final = ("bytes", "inodes", "hard_bytes", "hard_inodes")
ALLOTTED: Final = schema({"group": pl.String, **{f"allotted_{name}": pl.Int128 for name in _LIMITS}})
_Both = tuple[pl.DataFrame, pl.DataFrame]


def allotted_quotas(filesystem: Filesystem, allocations: Allocations) -> pl.DataFrame:
    """Give what the allocations file lets groups use (ALLOTTED)."""
    quotas = {} if filesystem.has_own_limits else allocations.quotas.get(filesystem.name, {})
    rows = [(group, each.bytes, each.inodes, each.hard_bytes, each.hard_inodes) for group, each in quotas.items()]
    return pl.DataFrame(rows, schema=ALLOTTED, orient="row")


def with_owners_of_nothing(sums: pl.DataFrame, allotted: pl.DataFrame, *, hsm: bool) -> pl.DataFrame:
    """Add the groups that have a quota and nothing else: what Robinhood does not list is 0."""
    zeros = dict.fromkeys(("disk_used_bytes", "disk_inodes", "file_size_sum_bytes", *(["tape_used_bytes"] * hsm)), 0)
    new = allotted.select("group").join(sums, on="group", how="anti")
    return pl.concat([sums, new.with_columns(**zeros, file_size_bins=[0] * BINS)], how="diagonal_relaxed")


def group_quotas(
    sums: pl.DataFrame,
    inodes: pl.DataFrame,
    filesystem: Filesystem,
    allocations: Allocations,
    counts: QuotaCounts | None,
) -> _Both:
    """Put beside the sums of groups what they may use, and what quotas count of groups or filesets.

    Gives the rows of groups, those with a quota among them, and of their inodes. Limits that the quota's source has not
    got are those of the allocations file.
    """
    of_groups = None if counts is None or counts.of_users else counts
    rows = sums.join(allotted_quotas(filesystem, allocations), on="group", how="full", coalesce=True)
    rows = rows.join(_counted(of_groups, "group"), on="group", how="full", coalesce=True)
    return _used(rows, inodes, ["group"], scanned=filesystem.scanned)


def user_quotas(sums: pl.DataFrame, inodes: pl.DataFrame, filesystem: Filesystem, counts: QuotaCounts | None) -> _Both:
    """Add what quotas count of users, in whatever group: beside Robinhood's rows by group, under no group."""
    of_users = counts if counts is not None and counts.of_users else None
    counted = _counted(of_users, "user").with_columns(group=pl.lit(""))
    rows = sums.join(counted, on=["group", "user"], how="full", coalesce=True)
    rows = rows.with_columns(pl.lit(None, dtype=pl.Int128).alias(f"allotted_{name}") for name in _LIMITS)
    return _used(rows, inodes, ["group", "user"], scanned=filesystem.scanned)


def _counted(counts: QuotaCounts | None, owner: str) -> pl.DataFrame:
    frame = pl.DataFrame(schema=QUOTA_COUNTS) if counts is None else counts.counts
    counted_by = pl.lit(counts.source if counts else None, dtype=pl.String)
    return frame.rename({"owner": owner}).with_columns(counted_by=counted_by)


def _used(rows: pl.DataFrame, inodes: pl.DataFrame, by: list[str], *, scanned: bool) -> _Both:
    """Choose limits and what is used of them; without Robinhood, what the quota counts is what is used."""
    counted = pl.col("counted_by").is_not_null()
    rows = rows.with_columns(_limits())
    if not scanned:
        of_any = rows.filter(counted & pl.col("used_inodes").is_not_null())
        inodes = of_any.select(*by, type=pl.lit(_ANY_TYPE), disk="used_inodes")
        rows = rows.with_columns(disk_used_bytes="used_bytes", disk_inodes="used_inodes")
    used = {"bytes": "disk_used_bytes", "inodes": "disk_inodes"}
    return rows.with_columns(
        *(pl.col(f"used_{name}").alias(f"counted_{name}") for name in used),
        *(
            ratio(pl.when(counted).then(pl.col(f"used_{name}")).otherwise(pl.col(column)), f"quota_{name}")
            .alias(f"quota_used_ratio_{name}")
            for name, column in used.items()
        ),
    ), inodes  # fmt: skip


def _limits() -> list[pl.Expr]:
    """Give the limits of the quota's source, soft ones before hard ones; where it has none, the allocations file's."""
    own = {
        "bytes": pl.coalesce("soft_bytes", "hard_bytes"),
        "inodes": pl.coalesce("soft_inodes", "hard_inodes"),
        "hard_bytes": pl.col("hard_bytes"),
        "hard_inodes": pl.col("hard_inodes"),
    }
    has_own = pl.any_horizontal(limit.is_not_null() for limit in own.values())
    is_allotted = pl.any_horizontal(pl.col(f"allotted_{name}").is_not_null() for name in own)
    whose = pl.when(has_own).then(pl.col("counted_by")).when(is_allotted).then(pl.lit(_ALLOCATIONS))
    return [
        whose.alias("quota_source"),
        *(
            pl.when(has_own).then(limit).otherwise(pl.col(f"allotted_{name}")).alias(f"quota_{name}")
            for name, limit in own.items()
        ),
    ]
