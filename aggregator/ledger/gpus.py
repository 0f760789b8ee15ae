"""Which GPUs does a run show on each of its nodes, what do they draw, and how many does it not show?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import total
from aggregator.ledger.boards import Viewer, own_gpu_watts
from aggregator.ledger.tenants import rows_of_slots
from aggregator.model.readings import Readings

_COUNTS: Final = ("shown", "used", "busy")


def gpu_tenants(slots: pl.DataFrame, tenants: pl.DataFrame, readings: Readings) -> pl.DataFrame:
    """Give the tenants that hold or show GPUs, and their row in `tenants` (`tenant`).

    own_gpu_watts is the power of those of a run's GPUs on the node that have series (null: none has), unseen_gpus
    counts the others: on all of its nodes no more than it lacks. shown are the GPUs with a utilisation, used the sum
    of these, and busy those that are above 0.
    """
    shown = _shown(readings.gpus)
    rows = rows_of_slots(shown, slots, readings.windows, "gpus").gather(tenants["number"]).alias("row")
    holders = (
        tenants.with_row_index("tenant").hstack([rows]).filter((pl.col("boards") > 0) | pl.col("row").is_not_null())
    )
    holders = holders.hstack(shown.drop("window", "key").select(pl.all().gather(holders["row"])))
    seen = pl.col("seen_gpus").fill_null(0)
    lacking = (pl.col("boards") - seen.sum().over("run", "window")).clip(0.0)
    counted = holders.with_columns(
        pl.col(_COUNTS).fill_null(0),
        unseen_gpus=pl.min_horizontal(lacking, (pl.col("allocated_gpus") - seen).clip(0.0)),
    )
    return _with_shared_boards(counted, readings.windows.seconds)


def _shown(gpus: pl.DataFrame) -> pl.DataFrame:
    """Add up what each job shows on a node."""
    watts, utilization = pl.col("watts"), pl.col("utilization")
    return gpus.group_by("window", "key").agg(
        own_gpu_watts=total("watts"),
        seen_gpus=watts.count(),
        each_watts=watts.drop_nulls(),
        shown=utilization.count(),
        used=utilization.sum(),
        busy=(utilization > 0).sum(),
    )


def _with_shared_boards(tenants: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Give runs that share the boards of a node their part of these; there are few such nodes (shards, MPS)."""
    sharing = (
        tenants.filter(pl.col("is_measured") & (pl.col("boards") < 1) & (pl.col("seen_gpus") > 0))
        .filter(pl.len().over("place") > 1)
        .sort("place", "run")
    )
    parts = [_share_boards(node, seconds) for node in sharing.partition_by("place", maintain_order=True)]
    if not parts:
        return tenants
    return tenants.join(pl.concat(parts), on="tenant", how="left", validate="1:1").with_columns(
        own_gpu_watts=pl.coalesce("shared_watts", "own_gpu_watts")
    )


def _share_boards(node: pl.DataFrame, seconds: float) -> pl.DataFrame:
    viewers = [Viewer(*row) for row in node.select("seconds", "boards", "each_watts").iter_rows()]
    watts = pl.Series(own_gpu_watts(viewers, seconds), dtype=pl.Float64)
    return node.select("tenant", shared_watts=watts)
