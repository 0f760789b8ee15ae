"""What do some closed windows add to the totals of each run, user and node?

All of it is a function of what slurmacct and Prometheus say of these windows, and of the best meter of each node so
far: the windows of a day may be added in any pieces, oldest first.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.energy import COMPONENTS, METERS, MODELS, Prices
from aggregator.parts.energy.frames import (
    ALLOCATED_GPUS,
    BEST_METERS,
    GPUS,
    METER,
    NODE_GAINS,
    NODE_POWER,
    NODES,
    RUN_COSTS,
    RUN_GAINS,
    RUN_POWER,
    RUNS,
    USED,
    Readings,
    Windows,
    sum_by,
)
from aggregator.parts.energy.gpu_time import gpu_time
from aggregator.parts.energy.gpus import gpu_tenants
from aggregator.parts.energy.prices import co2_grams, costs
from aggregator.parts.energy.shares import share
from aggregator.parts.energy.tenants import presences, present_runs, tenants

_JOULES: Final = tuple(f"{part}_joules" for part in (*MODELS, "gpu"))
_RESETS: Final = ("was_busy", "was_all_busy")
_GPU_TIME: Final = (
    "gpu_seconds", "gpu_used_seconds", "gpu_idle_seconds", "gpu_partly_idle_seconds", "gpu_unseen_seconds",
    "gpu_partly_unseen_seconds",
)  # fmt: skip
_IS_COVERED: Final = pl.col("is_known") & pl.col("is_best_meter")
_SIZES: Final = ("cpus", "memory_bytes", "gpus")


@dataclass(frozen=True, slots=True)
class Gains:
    """What windows add, and the power of the last one of them.

    runs is the frame RUN_GAINS, costs RUN_COSTS, nodes NODE_GAINS, run_power RUN_POWER and node_power NODE_POWER;
    window_end is epoch seconds.
    """

    window_end: float
    runs: pl.DataFrame
    costs: pl.DataFrame
    nodes: pl.DataFrame
    run_power: pl.DataFrame
    node_power: pl.DataFrame


def gains(
    readings: Readings, runs: pl.DataFrame, allocated_gpus: pl.DataFrame, meters: pl.DataFrame, prices: Prices
) -> Gains:
    """Share the energy of windows between those who were on the nodes.

    runs (RUNS) are those that may have been on nodes in the windows, allocated_gpus (ALLOCATED_GPUS) is what they have
    of them; meters (BEST_METERS) is of before the first window. Of a node whose power is not known nothing is shared,
    not even that of its GPUs: jobs add up to nodes. Raises ValueError for a frame that is not as declared, and
    polars.exceptions.ComputeError for one with two rows of a key.
    """
    windows, allocated_gpus = readings.windows, ALLOCATED_GPUS.of(allocated_gpus)
    nodes = _with_best_meter(_measurable(NODES.of(readings.nodes)), BEST_METERS.of(meters)).with_row_index("place")
    readings = Readings(windows, nodes, USED.of(readings.used), GPUS.of(readings.gpus))
    runs = present_runs(RUNS.of(runs), allocated_gpus, windows)
    present = presences(runs, windows)
    on_nodes = tenants(runs, present, readings)
    with_gpus = gpu_tenants(on_nodes, readings.gpus, windows.seconds)
    on_measured = on_nodes.filter(pl.col("is_measured")).join(
        with_gpus.select("tenant", "own_gpu_watts", "unseen_gpus"), on="tenant", how="left", validate="1:1"
    )
    nodes, parts = share(nodes, on_measured, windows.seconds, prices.model)
    nodes = nodes.filter(pl.col("watts").is_not_null())
    of_runs = _of_runs(runs, present, parts, prices).join(
        gpu_time(runs, present, with_gpus, readings.gpus), on="run", how="left", validate="1:1"
    )
    is_last = pl.col("window") == windows.count - 1
    return Gains(
        windows.end,
        RUN_GAINS.of(of_runs.with_columns(pl.col(_GPU_TIME).fill_null(0.0), pl.col(_RESETS).fill_null(value=False))),
        RUN_COSTS.of(costs(of_runs, allocated_gpus, prices)),
        NODE_GAINS.of(_of_nodes(nodes, windows)),
        RUN_POWER.of(_run_power(runs, parts.filter(is_last), windows.seconds)),
        NODE_POWER.of(_node_power(nodes.filter(is_last), windows.seconds)),
    )


def _measurable(nodes: pl.DataFrame) -> pl.DataFrame:
    """Take a size that is not above 0 as not known."""
    return nodes.with_columns(pl.when(pl.col(size) > 0).then(size).alias(size) for size in _SIZES)


def _with_best_meter(nodes: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Add the best meter that has measured a node until each window, and whether it is the window's own.

    For a node that has ever been measured by a better one, another is a fall-back: it sees less.
    """
    own = pl.when(pl.col("watts").is_not_null()).then(pl.col("meter").to_physical())
    known = before.select("node", before=pl.col("meter").to_physical())
    return (
        nodes.sort("window")
        .join(known, on="node", how="left", validate="m:1", maintain_order="left")
        .with_columns(best=pl.min_horizontal("before", own.cum_min().over("node")))
        .with_columns(is_best_meter=own == pl.col("best"))
        .drop("before")
    )


def _of_runs(runs: pl.DataFrame, present: pl.DataFrame, parts: pl.DataFrame, prices: Prices) -> pl.DataFrame:
    """Add up each run's parts; what was not measured is not 0 joules."""
    covered, meter = pl.col("covered"), pl.col("meter")
    time = pl.col("seconds") * covered / pl.col("nodes_count")
    sums = sum_by(
        "run",
        parts.select(
            "run",
            *(pl.col(name) * covered for name in _JOULES),
            *(pl.when(meter == name).then(time).alias(f"{name}_seconds") for name in METERS),
            power_seconds=pl.when(_IS_COVERED).then(time).otherwise(0.0),
        ),
    )
    away = present.filter(pl.col("is_suspended")).group_by("run").agg(away_seconds=pl.col("seconds").sum())
    seconds = pl.col("until") - pl.col("since")
    return (
        runs.join(sums, on="run", how="left", validate="1:1")
        .join(away, on="run", how="left", validate="1:1")
        .with_columns(
            pl.col("power_seconds").fill_null(0.0),
            joules=pl.col(f"{prices.model}_joules") + pl.col("gpu_joules"),
            seconds=seconds,
            active_seconds=seconds - pl.col("away_seconds").fill_null(0.0),
        )
        .with_columns(co2_grams=co2_grams(prices))
    )


def _of_nodes(nodes: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Add up the covered part of each node's windows."""
    covered, is_best = pl.col("covered"), pl.col("is_best_meter")
    time = covered * windows.seconds
    return (
        nodes.select(
            "node", "window", "best",
            *(pl.col(f"{name}_joules") * covered for name in COMPONENTS),
            power_seconds=pl.when(is_best).then(time).otherwise(0.0),
            fallback_seconds=pl.when(is_best).then(0.0).otherwise(time),
        )
        .group_by("node")
        .agg(
            pl.col(*(f"{name}_joules" for name in COMPONENTS), "power_seconds", "fallback_seconds").sum(),
            until=windows.begin + (pl.col("window").max() + 1) * windows.seconds,
            meter=pl.col("best").min().cat.to(METER),
        )
    )  # fmt: skip


def _run_power(runs: pl.DataFrame, parts: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Give each run's mean power over the whole window on the nodes that were measured, so that runs add up to them."""
    part = (pl.col("seconds") / seconds).clip(0.0, 1.0)
    sums = parts.select(
        "run",
        *((pl.col(f"{of}_joules") / seconds).alias(f"{of}_watts") for of in (*MODELS, "gpu")),
        coverage=pl.when(_IS_COVERED).then(pl.col("covered") / pl.col("nodes_count") * part).otherwise(0.0),
    )
    power = sum_by("run", sums)
    return power.with_columns(runs["run_id"].gather(power["run"]), pl.when(pl.col("gpu_watts") != 0).then("gpu_watts"))


def _node_power(nodes: pl.DataFrame, seconds: float) -> pl.DataFrame:
    return nodes.with_columns((pl.col(f"{name}_joules") / seconds).alias(f"{name}_watts") for name in COMPONENTS)
