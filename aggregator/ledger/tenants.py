"""Which run was on which node in which window, what did it hold there, and what did it use?

slurmacct says what a run holds altogether and on which nodes: it is taken as spread evenly over them.
"""

from typing import Final

import polars as pl

from aggregator.ledger.frames import rows_by_number
from aggregator.model.readings import Readings, Windows
from aggregator.model.tres import board_part

# When a run was on its nodes, and what it kept there.
SPAN: Final = ("since", "until", "is_suspended", "suspended_since")


def present_runs(runs: pl.DataFrame, allocated_gpus: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Give the runs that were on nodes in the windows, numbered (`run`).

    since and until are epoch seconds, cut to the windows, last_window_end is the end of the last window that it
    touched; allocated_gpus counts its GPUs, boards takes a slice as a part of one; nodes_count counts its nodes.
    """
    present = (
        runs.with_columns(
            since=pl.col("start").clip(windows.begin),
            until=pl.col("end").fill_null(windows.end).clip(None, windows.end),
            nodes_count=pl.col("nodes").list.len().cast(pl.Float64),
        )
        .filter(pl.col("until") > pl.col("since"))
        .join(_gpus_of_runs(allocated_gpus), on="run_id", how="left", validate="1:1")
        .with_columns(pl.col("allocated_gpus", "boards").fill_null(0.0))
        .with_row_index("run")
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
    """List the windows in which each of these was on its nodes, and for how many seconds; window after window.

    is_whole: it filled the window. is_away: it was suspended when the window began, and kept no CPUs.
    """
    begin, end = pl.max_horizontal("since", "window_begin"), pl.min_horizontal("until", "window_end")
    was_suspended = (pl.col("window_begin") >= pl.col("suspended_since")).fill_null(value=True)
    spans = runs.select(SPAN).with_row_index("row")
    present = (
        windows.frame()
        .join(spans, how="cross")
        .select(
            "row", "window",
            seconds=end - begin,
            is_whole=(begin == pl.col("window_begin")) & (end == pl.col("window_end")),
            is_away=pl.col("is_suspended") & was_suspended,
        )
        .filter(pl.col("seconds") > 0)
    )  # fmt: skip
    return present.drop("row").hstack(runs.drop(SPAN)[present["row"]])


def slots(runs: pl.DataFrame) -> pl.DataFrame:
    """List the nodes of each run, numbered (`slot`), with what it holds there."""
    count = pl.col("nodes_count")
    return (
        runs.select(
            "run", "job_id", *SPAN, "boards", "nodes_count", node="nodes",
            cpus=pl.col("allocated_cpus") / count,
            allocated_memory_bytes=pl.col("allocated_memory_bytes").fill_null(0.0) / count,
            allocated_gpus=pl.col("boards") / count,
        )
        .filter(count > 0)
        .explode("node")
        .with_row_index("slot")
    )  # fmt: skip


def with_numbers(slots: pl.DataFrame, readings: Readings) -> tuple[pl.DataFrame, Readings, int]:
    """Name nodes by numbers from 0 (`node_number`), and jobs on nodes (`key`): these are found faster than names.

    Gives the slots, the readings, and how many nodes there are.
    """
    names = pl.concat([readings.nodes["node"], slots["node"]]).unique()
    number = pl.col("node").cast(pl.Enum(names), strict=False).to_physical().cast(pl.Int64)
    key = pl.col("job_id") * len(names) + number

    def numbered(frame: pl.DataFrame, *columns: pl.Expr) -> pl.DataFrame:
        return frame.with_columns(columns, node_number=number).drop("node")

    used, gpus = (numbered(frame, key.alias("key")) for frame in (readings.used, readings.gpus))
    nodes = numbered(readings.nodes)
    return numbered(slots, key.alias("key")), Readings(readings.windows, nodes, used, gpus), len(names)


def rows_of_slots(readings: pl.DataFrame, slots: pl.DataFrame, windows: Windows, name: str) -> pl.Series:
    """Find the row of each slot in each window, in a frame of that name with window and key.

    The result is in the order of windows × slots, null where there is none. Runs of one job id on one node have the
    same row.
    """
    found = readings.select("window", "key").with_row_index("row").join(slots.select("slot", "key"), on="key")
    numbers = found["window"] * len(slots) + found["slot"]
    return found["row"].gather(rows_by_number(numbers, windows.count * len(slots), name))


def tenants(slots: pl.DataFrame, readings: Readings, nodes_count: int) -> pl.DataFrame:
    """List the runs on each node in each window: the slots, with what they used there.

    number is that of the slot in the order of windows × slots, place the node's row in the readings; null where nothing
    is known of the node.
    """
    present = presences(slots, readings.windows)
    number = (present["window"] * len(slots) + present["slot"]).alias("number")
    rows = rows_of_slots(readings.used, slots, readings.windows, "used").gather(number)
    used = readings.used.select(pl.col("used_cpus", "used_memory_bytes").gather(rows))
    of_node = readings.nodes.select(
        "place", "vouches_cpus", "vouches_memory", "vouches_gpus", is_measured=pl.col("watts").is_not_null()
    ).select(pl.all().gather(_places(present, readings, nodes_count)))
    return (
        present.hstack([number, *used, *of_node])
        .with_columns(
            is_measured=pl.col("is_measured").fill_null(value=False),
            allocated_cpus=pl.when("is_away").then(0.0).otherwise("cpus"),
            used_cpus=_or_none_used("used_cpus", "vouches_cpus"),
            used_memory_bytes=_or_none_used("used_memory_bytes", "vouches_memory"),
        )
        .drop("cpus", "is_whole", "is_away", "vouches_cpus", "vouches_memory")
    )


def _places(present: pl.DataFrame, readings: Readings, nodes_count: int) -> pl.Series:
    """Find the row of each tenant's node."""
    nodes, count = readings.nodes, readings.windows.count * nodes_count
    rows = rows_by_number(nodes["window"] * nodes_count + nodes["node_number"], count, "nodes")
    return rows.gather(present["window"] * nodes_count + present["node_number"])


def _or_none_used(used: str, vouches: str) -> pl.Expr:
    """A job that has no series where its exporter answers does nothing there, unless it has only just begun."""
    return pl.coalesce(used, pl.when(pl.col("is_whole") & pl.col(vouches)).then(0.0))
