"""Which GPUs does a run show on each of its nodes, what do they draw, and how many does it not show?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import total
from aggregator.ledger.boards import Viewer, own_gpu_watts
from aggregator.ledger.tenants import rows_of_slots
from aggregator.model.readings import Windows

_COUNTS: Final = ("shown", "used", "busy")
_WATTS, _UTILIZATION = pl.col("watts"), pl.col("utilization")
# What a job shows on a node.
_SHOWN: Final = {
    "own_gpu_watts": total("watts"),
    "seen_gpus": _WATTS.count(),
    "each_watts": _WATTS.drop_nulls(),
    "shown": _UTILIZATION.count(),
    "used": _UTILIZATION.sum(),
    "busy": (_UTILIZATION > 0).sum(),
}
_SEEN: Final = pl.col("seen_gpus").fill_null(0)
_LACKING: Final = (pl.col("boards") - _SEEN.sum().over("run", "window")).clip(0.0)
_SHARES: Final = pl.col("is_measured") & (pl.col("boards") < 1) & (pl.col("seen_gpus") > 0)


def gpu_tenants(tenants: pl.DataFrame, slots: pl.DataFrame, gpus: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Give the tenants that hold or show GPUs, and their row in `tenants` (`tenant`).

    own_gpu_watts is the power of those of a run's GPUs on the node that have series (null: none has), unseen_gpus
    counts the others: on all of its nodes no more than it lacks. shown are the GPUs with a utilisation, used the sum
    of these, and busy those that are above 0.
    """
    shown = gpus.group_by("window", "key").agg(**_SHOWN)
    rows = rows_of_slots(shown, slots, windows, "gpus")[tenants["number"]]
    tenant = ((tenants["boards"] > 0) | rows.is_not_null()).arg_true().alias("tenant")
    holders = tenants[tenant].hstack([tenant, *shown[[*_SHOWN]][rows[tenant]]])
    counted = holders.with_columns_seq(
        pl.col(_COUNTS).fill_null(0),
        unseen_gpus=pl.min_horizontal(_LACKING, (pl.col("allocated_gpus") - _SEEN).clip(0.0)),
    )
    return _with_shared_boards(counted, windows.seconds)


def _with_shared_boards(tenants: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Give runs that share the boards of a node their part of these; there are few such nodes (shards, MPS)."""
    sharing = tenants.filter(_SHARES)
    sharing = sharing.filter(sharing["place"].is_duplicated()).sort("place", "run")
    if sharing.is_empty():
        return tenants
    parts = [_share_boards(node, seconds) for node in sharing.partition_by("place", maintain_order=True)]
    return tenants.join(pl.concat(parts), on="tenant", how="left", validate="1:1").with_columns_seq(
        own_gpu_watts=pl.coalesce("shared_watts", "own_gpu_watts")
    )


def _share_boards(node: pl.DataFrame, seconds: float) -> pl.DataFrame:
    viewers = [Viewer(*row) for row in node.select_seq("seconds", "boards", "each_watts").iter_rows()]
    watts = pl.Series(own_gpu_watts(viewers, seconds), dtype=pl.Float64)
    return node.select_seq("tenant", shared_watts=watts)
