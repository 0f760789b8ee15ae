"""Which run was on which node in which window, what did it hold there, and what did it use?

slurmacct says what a run holds altogether and on which nodes: it is taken as spread evenly over them.
"""

import polars as pl

from aggregator.model.tres import board_part
from aggregator.parts.energy.frames import Readings, Windows


def present_runs(runs: pl.DataFrame, allocated_gpus: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Give the runs that were on nodes in the windows, numbered (`run`).

    since and until are epoch seconds, cut to the windows, last_window_end is the end of the last window that it
    touched; allocated_gpus counts its GPUs, boards takes a slice as a part of one; nodes_count counts its nodes.
    """
    present = (
        runs.join(_gpus_of_runs(allocated_gpus), on="run_id", how="left", validate="1:1")
        .with_columns(
            pl.col("allocated_gpus", "boards").fill_null(0.0),
            since=pl.col("start").clip(windows.begin),
            until=pl.col("end").fill_null(windows.end).clip(None, windows.end),
            nodes_count=pl.col("nodes").list.len().cast(pl.Float64),
        )
        .filter(pl.col("until") > pl.col("since"))
        .with_columns(run=pl.int_range(pl.len(), dtype=pl.UInt32))
    )
    ends = windows.frame()["window_end"]
    return present.with_columns(last_window_end=ends.gather(ends.search_sorted(present["until"])))


def _gpus_of_runs(allocated_gpus: pl.DataFrame) -> pl.DataFrame:
    """Add up each run's GPUs of all types."""
    types = allocated_gpus["gpu_type"].unique()
    parts = pl.Series([board_part(name) for name in types], dtype=pl.Float64)
    gpus = pl.col("gpus")
    return (
        allocated_gpus.join(pl.DataFrame({"gpu_type": types, "part": parts}), on="gpu_type", validate="m:1")
        .group_by("run_id")
        .agg(allocated_gpus=gpus.sum(), boards=(gpus * pl.col("part")).sum())
    )


def presences(runs: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """List the windows in which each run was on its nodes: run, window, and for how many seconds.

    is_whole: it filled the window. is_suspended: it kept no CPUs when the window began.
    """
    begin, end = pl.max_horizontal("since", "window_begin"), pl.min_horizontal("until", "window_end")
    away = pl.col("is_suspended") & (pl.col("window_begin") >= pl.col("suspended_since")).fill_null(value=True)
    return (
        runs.lazy()
        .select("run", "since", "until", "is_suspended", "suspended_since")
        .join(windows.frame().lazy(), how="cross")
        .select(
            "run", "window", seconds=end - begin, is_suspended=away,
            is_whole=(begin == pl.col("window_begin")) & (end == pl.col("window_end")),
        )
        .filter(pl.col("seconds") > 0)
        .collect()
    )  # fmt: skip


def tenants(runs: pl.DataFrame, present: pl.DataFrame, readings: Readings) -> pl.DataFrame:
    """List the runs on each node in each window, numbered (`tenant`), with the node's row in `readings`.

    place is that row, null where nothing is known of the node. allocated_… and used_… are of the run on the node.
    """
    count = pl.col("nodes_count")
    slots = (
        runs.lazy()
        .filter(count > 0)
        .select(
            "run", "job_id", "boards", "nodes_count", node="nodes",
            cpus=pl.col("allocated_cpus") / count,
            allocated_memory_bytes=pl.col("allocated_memory_bytes").fill_null(0.0) / count,
            allocated_gpus=pl.col("boards") / count,
        )
        .explode("node")
    )  # fmt: skip
    places = readings.nodes.lazy().select(
        "window", "node", "place", "vouches_cpus", "vouches_memory", "vouches_gpus",
        is_measured=pl.col("watts").is_not_null(),
    )  # fmt: skip
    return (
        present.lazy()
        .join(slots, on="run")
        .join(places, on=["window", "node"], how="left", validate="m:1")
        .join(readings.used.lazy(), on=["window", "job_id", "node"], how="left", validate="m:1")
        .with_columns(
            tenant=pl.int_range(pl.len(), dtype=pl.UInt32),
            is_measured=pl.col("is_measured").fill_null(value=False),
            allocated_cpus=pl.when(pl.col("is_suspended")).then(0.0).otherwise(pl.col("cpus")),
            used_cpus=_or_none_used("used_cpus", "vouches_cpus"),
            used_memory_bytes=_or_none_used("used_memory_bytes", "vouches_memory"),
        )
        .drop("cpus", "is_whole", "is_suspended", "vouches_cpus", "vouches_memory")
        .collect()
    )


def _or_none_used(used: str, vouches: str) -> pl.Expr:
    """A job that has no series where its exporter answers does nothing there, unless it has only just begun."""
    return pl.coalesce(used, pl.when(pl.col("is_whole") & pl.col(vouches)).then(0.0))
