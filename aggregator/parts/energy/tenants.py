"""Which run was on which node in which window, what did it hold there, and what did it use?

slurmacct says what a run holds altogether and on which nodes: it is taken as spread evenly over them.
"""

from typing import Final

import polars as pl

from aggregator.join.boards import Viewer, own_gpu_watts
from aggregator.model.tres import board_part
from aggregator.parts.energy.frames import Readings, Windows

_ON_NODE: Final = ["window", "job_id", "node"]


def with_gpus(runs: pl.DataFrame, allocated_gpus: pl.DataFrame) -> pl.DataFrame:
    """Number the runs (`run`), and add what Slurm gave each in GPUs: allocated_gpus, and boards (a slice is a part)."""
    types = allocated_gpus.select(pl.col("gpu_type").unique())
    parts = types.with_columns(part=pl.Series([board_part(name) for name in types["gpu_type"]], dtype=pl.Float64))
    counts = (
        allocated_gpus.join(parts, on="gpu_type", how="left", validate="m:1")
        .group_by("run_id")
        .agg(pl.col("gpus").sum().alias("allocated_gpus"), (pl.col("gpus") * pl.col("part")).sum().alias("boards"))
    )
    return runs.join(counts, on="run_id", how="left", validate="1:1", maintain_order="left").with_columns(
        pl.col("allocated_gpus", "boards").fill_null(0.0),
        run=pl.int_range(pl.len(), dtype=pl.UInt32),
        nodes_count=pl.col("nodes").list.len().cast(pl.Float64),
    )


def presences(runs: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """List the windows in which each run was on its nodes, from when to when, and for how many seconds.

    run is the run's row. is_whole: it filled the window. is_suspended: it kept no CPUs when the window began.
    """
    begin, end = pl.max_horizontal("start", "window_begin"), pl.min_horizontal("end", "window_end")
    away = pl.col("is_suspended") & (pl.col("window_begin") >= pl.col("suspended_since")).fill_null(value=True)
    return (
        runs.lazy()
        .select("run", "start", "end", "is_suspended", "suspended_since")
        .filter(pl.col("start").is_not_null())
        .join(windows.frame().lazy(), how="cross")
        .select(
            "run", "window", "window_end", begin=begin, end=end, seconds=end - begin, is_suspended=away,
            is_whole=(begin == pl.col("window_begin")) & (end == pl.col("window_end")),
        )
        .filter(pl.col("seconds") > 0)
        .collect()
    )  # fmt: skip


def tenants(runs: pl.DataFrame, present: pl.DataFrame, readings: Readings) -> pl.DataFrame:
    """List the runs on each node in each window, with the node's row (`place`, null: nothing is known of it).

    own_gpu_watts is the power of those of its GPUs that have series (null: none has), unseen_gpus counts the others.
    """
    count = pl.col("nodes_count")
    slots = (
        runs.lazy()
        .select(
            "run", "job_id", "boards", "nodes", "nodes_count",
            cpus=pl.col("allocated_cpus") / count,
            allocated_memory_bytes=pl.col("allocated_memory_bytes").fill_null(0.0) / count,
            allocated_gpus=pl.col("boards") / count,
        )
        .filter(count > 0)
        .explode("nodes")
        .rename({"nodes": "node"})
    )  # fmt: skip
    places = readings.nodes.lazy().select(
        "window", "node", "place", "vouches_cpus", "vouches_memory", "vouches_gpus",
        is_measured=pl.col("watts").is_not_null(),
    )  # fmt: skip
    boards = _boards(readings.gpus).lazy()
    return _with_own_gpus(
        present.lazy()
        .select("run", "window", "seconds", "is_whole", "is_suspended")
        .join(slots, on="run")
        .join(places, on=["window", "node"], how="left", validate="m:1")
        .join(readings.used.lazy(), on=_ON_NODE, how="left", validate="m:1")
        .join(boards, on=_ON_NODE, how="left", validate="m:1")
        .with_columns(
            allocated_cpus=pl.when(pl.col("is_suspended")).then(0.0).otherwise(pl.col("cpus")),
            used_cpus=_or_none_used("used_cpus", "vouches_cpus"),
            used_memory_bytes=_or_none_used("used_memory_bytes", "vouches_memory"),
        )
        .drop("cpus", "is_whole", "is_suspended", "vouches_cpus", "vouches_memory", "job_id")
        .collect(),
        readings.windows.seconds,
    )


def _or_none_used(used: str, vouches: str) -> pl.Expr:
    """A job that has no series where its exporter answers does nothing there, unless it has only just begun."""
    return pl.coalesce(used, pl.when(pl.col("is_whole") & pl.col(vouches)).then(0.0))


def _boards(gpus: pl.DataFrame) -> pl.DataFrame:
    """Give the boards that each job sees on a node: own_gpu_watts together, each_watts of each, and their number."""
    watts = pl.col("watts")
    return (
        gpus.filter(watts.is_not_null())
        .group_by(_ON_NODE)
        .agg(own_gpu_watts=watts.sum(), each_watts=watts, seen_gpus=pl.len().cast(pl.Float64))
    )


def _with_own_gpus(tenants: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Count the GPUs that no series shows, on all nodes no more than the run lacks; divide boards that runs share."""
    seen = pl.col("seen_gpus").fill_null(0.0)
    lacking = (pl.col("boards") - seen.sum().over("run", "window")).clip(0.0)
    holders = tenants.filter(pl.col("boards") > 0).with_columns(
        unseen_gpus=pl.min_horizontal(lacking, (pl.col("allocated_gpus") - seen).clip(0.0))
    )
    others = tenants.filter(pl.col("boards") <= 0).with_columns(unseen_gpus=pl.lit(0.0))
    return _with_shared_boards(pl.concat([others, holders]), seconds).drop("each_watts", "seen_gpus", "boards")


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
    return tenants.join(pl.concat(parts), on=["place", "run"], how="left", validate="m:1").with_columns(
        own_gpu_watts=pl.coalesce("shared_watts", "own_gpu_watts")
    )


def _share_boards(node: pl.DataFrame, seconds: float) -> pl.DataFrame:
    viewers = [Viewer(*row) for row in node.select("seconds", "boards", "each_watts").iter_rows()]
    watts = pl.Series(own_gpu_watts(viewers, seconds), dtype=pl.Float64)
    return node.select("place", "run", shared_watts=watts)
