"""Which run was on which node in which window, what did it hold there, and what did it use?

slurmacct says what a run holds altogether and on which nodes: it is taken as spread evenly over them.
"""

from typing import Final

import polars as pl

from aggregator.ledger.frames import rows_by_number
from aggregator.model.readings import Windows

# When a run was on its nodes, and what it kept there.
_SPAN: Final = ["since", "until", "is_suspended", "suspended_since"]
_HELD: Final = [
    "run", "node_number", "nodes_count", "boards", "held_cpus", "allocated_memory_bytes", "allocated_gpus",
    "is_suspended",
]  # fmt: skip
_BEGIN, _END = pl.max_horizontal("since", "window_begin"), pl.min_horizontal("until", "window_end")
_PRESENCE: Final = {
    "seconds": _END - _BEGIN,
    "is_whole": (pl.col("window_begin") == _BEGIN) & (pl.col("window_end") == _END),
    "is_away": pl.col("is_suspended") & (pl.col("window_begin") >= pl.col("suspended_since")).fill_null(value=True),
}
_SECONDS, _COUNT = pl.col("seconds"), pl.col("nodes_count")
_OF_NODE: Final = ["place", "is_measured", "vouches_cpus", "vouches_memory", "vouches_gpus"]


def present_runs(runs: pl.DataFrame, gpus: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Give the runs that were on nodes in the windows, numbered (`run`), with what they have of GPUs.

    since and until are epoch seconds, cut to the windows; nodes_count counts its nodes, active_seconds are those in
    which it kept its CPUs.
    """
    present = (
        runs.with_columns_seq(
            since=pl.col("start").clip(windows.begin),
            until=pl.col("end").fill_null(windows.end).clip(None, windows.end),
            nodes_count=pl.col("nodes").list.len().cast(pl.Float64),
        )
        .filter(pl.col("until") > pl.col("since"))
        .sort("run_id")
        .join(gpus, on="run_id", how="left", maintain_order="left")
        .with_row_index("run")
    )
    if (present["run_id"][1:] == present["run_id"][:-1]).any():
        raise ValueError("runs: two rows of one key")
    return present.with_columns_seq(
        pl.col("allocated_gpus", "boards").fill_null(0.0),
        active_seconds=(_kept_until(present, windows) - pl.col("since")).clip(0.0),
    )


def _kept_until(present: pl.DataFrame, windows: Windows) -> pl.Series:
    """Tell until when each run kept its CPUs: at most until the first window that begins when it is suspended."""
    suspended = present["is_suspended"].arg_true()
    if suspended.is_empty():
        return present["until"]
    since = present["suspended_since"][suspended].fill_null(windows.begin).clip(None, windows.end)
    begins = windows.frame()["window_begin"].extend_constant(windows.end, 1)
    away = begins[begins.search_sorted(since)]
    until = present["until"][suspended]
    return present["until"].scatter(suspended, until.zip_with(until < away, away))


def slots(runs: pl.DataFrame) -> pl.DataFrame:
    """List the nodes of each run, with what it holds there; of a run whose nodes are not known one that is null."""
    return runs.select_seq(
        "run", "job_id", *_SPAN, "boards", "nodes_count", node="nodes",
        held_cpus=pl.col("allocated_cpus") / _COUNT,
        allocated_memory_bytes=pl.col("allocated_memory_bytes").fill_null(0.0) / _COUNT,
        allocated_gpus=pl.col("boards") / _COUNT,
    ).explode("node", empty_as_null=True)  # fmt: skip


def rows_of_slots(readings: pl.DataFrame, slots: pl.DataFrame, windows: Windows, name: str) -> pl.Series:
    """Find the row of each slot in each window, in a frame of that name with window and key.

    The result is in the order of windows × slots, null where there is none. Runs of one job id on one node have the
    same row.
    """
    found = readings[["window", "key"]].with_row_index("row").join(slots[["key"]].with_row_index("slot"), on="key")
    numbers = found["window"] * len(slots) + found["slot"]
    return found["row"][rows_by_number(numbers, windows.count * len(slots), name)]


def tenants(
    slots: pl.DataFrame, nodes: pl.DataFrame, used: pl.DataFrame, windows: Windows, nodes_count: int
) -> pl.DataFrame:
    """List the runs on each node in each window: the slots, with what they used there.

    number is that of the slot in the order of windows × slots, place the node's row in the readings; null where nothing
    is known of the node. is_whole: it filled the window. seen_cpus is what its series show, null without one.
    """
    spans = slots[_SPAN].with_row_index("slot")
    present = windows.frame().join(spans, how="cross").select_seq("slot", "window", **_PRESENCE).filter(_SECONDS > 0)
    held = slots[_HELD][present["slot"]]
    number = (present["window"] * len(slots) + present["slot"]).alias("number")
    of_slots = used[["used_cpus", "used_memory_bytes"]][rows_of_slots(used, slots, windows, "used")[number]]
    places = rows_by_number(nodes["window"] * nodes_count + nodes["node_number"], windows.count * nodes_count, "nodes")
    of_nodes = nodes[_OF_NODE][places[present["window"] * nodes_count + held["node_number"]]]
    return present.hstack([*held, number, *of_slots, *of_nodes]).with_columns_seq(
        allocated_cpus=pl.when("is_away").then(0.0).otherwise("held_cpus"),
        seen_cpus=pl.col("used_cpus"),
        used_cpus=_or_none_used("used_cpus", "vouches_cpus"),
        used_memory_bytes=_or_none_used("used_memory_bytes", "vouches_memory"),
    )


def _or_none_used(used: str, vouches: str) -> pl.Expr:
    """A job that has no series where its exporter answers does nothing there, unless it has only just begun."""
    return pl.coalesce(used, pl.when(pl.col("is_whole") & pl.col(vouches)).then(0.0))
