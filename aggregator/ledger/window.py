"""What do some closed windows add to the totals of each run, user and node?

All of it is a function of what slurmacct and Prometheus say of these windows, and of the best meter of each node so
far: the windows of a day may be added in any pieces, oldest first.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.engine.frame import totals
from aggregator.ledger.frames import ALLOCATED_GPUS, RUNS, sum_by
from aggregator.ledger.gpu_time import gpu_time
from aggregator.ledger.gpus import gpu_tenants
from aggregator.ledger.prices import co2_grams, costs, gpus_hour
from aggregator.ledger.shares import share
from aggregator.ledger.tenants import SPAN, presences, present_runs, slots, tenants, with_numbers
from aggregator.model.energy import COMPONENTS, COST_COMPONENTS, METERS, MODELS, Prices
from aggregator.model.ledger import BEST_METERS, NODE_GAINS, NODE_POWER, RUN_GAINS, RUN_POWER, USER_GAINS
from aggregator.model.readings import GPUS, METER, NODES, USED, Readings, Windows

_PARTS: Final = (*MODELS, "gpu")
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

    runs is the frame RUN_GAINS, users USER_GAINS, nodes NODE_GAINS, run_power RUN_POWER and node_power NODE_POWER;
    window_end is epoch seconds.
    """

    window_end: float
    runs: pl.DataFrame
    users: pl.DataFrame
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
    gpus = GPUS.of(readings.gpus)
    runs = present_runs(RUNS.of(runs), allocated_gpus, windows)
    of_runs, numbered, count = with_numbers(slots(runs), Readings(windows, nodes, USED.of(readings.used), gpus))
    on_nodes = tenants(of_runs, numbered, count)
    with_gpus = gpu_tenants(of_runs, on_nodes, numbered)
    nodes, parts = share(nodes, _measured(on_nodes, with_gpus), windows.seconds, prices.model)
    nodes = nodes.filter(pl.col("watts").is_not_null())
    parts = _of_runs(parts, windows)
    gained = _gained(runs, parts, allocated_gpus, windows, prices).join(
        gpu_time(runs, with_gpus, gpus, windows), on="run", how="left", validate="1:1"
    )
    return Gains(
        windows.end,
        RUN_GAINS.of(gained.with_columns(pl.col(_GPU_TIME).fill_null(0.0), pl.col(_RESETS).fill_null(value=False))),
        USER_GAINS.of(_of_users(gained)),
        NODE_GAINS.of(_of_nodes(nodes, windows)),
        RUN_POWER.of(_run_power(runs, parts)),
        NODE_POWER.of(_node_power(nodes, windows)),
    )


def _measured(on_nodes: pl.DataFrame, with_gpus: pl.DataFrame) -> pl.DataFrame:
    """Give the tenants of measured nodes, with the power of their own GPUs."""
    watts, unseen = (pl.repeat(value, len(on_nodes), dtype=pl.Float64, eager=True) for value in (None, 0.0))
    return on_nodes.with_columns(
        watts.scatter(with_gpus["tenant"], with_gpus["own_gpu_watts"]).alias("own_gpu_watts"),
        unseen.scatter(with_gpus["tenant"], with_gpus["unseen_gpus"]).alias("unseen_gpus"),
    ).filter(pl.col("is_measured"))


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


def _of_runs(parts: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Add up each run's parts: of the covered time, and the mean power over the last window on its measured nodes.

    So runs add up to nodes, in joules and in watts. Of a run without a measured node in the last window watts are null.
    """
    covered, meter, is_last = pl.col("covered"), pl.col("meter"), pl.col("window") == windows.count - 1
    time = pl.col("seconds") * covered / pl.col("nodes_count")
    whole = pl.when(is_last)
    return sum_by(
        "run",
        parts.select(
            "run",
            *(pl.col(f"{of}_joules") * covered for of in _PARTS),
            *(pl.when(meter == name).then(time).alias(f"{name}_seconds") for name in METERS),
            *(whole.then(pl.col(f"{of}_joules") / windows.seconds).alias(f"{of}_watts") for of in _PARTS),
            power_seconds=pl.when(_IS_COVERED).then(time).otherwise(0.0),
            coverage=pl.when(_IS_COVERED & is_last).then(time / windows.seconds).otherwise(0.0),
        ),
    )


def _gained(
    runs: pl.DataFrame, parts: pl.DataFrame, allocated_gpus: pl.DataFrame, windows: Windows, prices: Prices
) -> pl.DataFrame:
    """Add what each run gains; what was not measured is not 0 joules."""
    suspended = runs.filter(pl.col("is_suspended")).select("run", *SPAN)
    away = presences(suspended, windows).filter(pl.col("is_away")).group_by("run").agg(away_seconds=pl.sum("seconds"))
    seconds = pl.col("until") - pl.col("since")
    return (
        runs.join(parts, on="run", how="left", validate="1:1")
        .join(away, on="run", how="left", validate="1:1")
        .join(gpus_hour(allocated_gpus, prices), on="run_id", how="left", validate="1:1")
        .with_columns(
            pl.col("power_seconds").fill_null(0.0),
            joules=pl.col(f"{prices.model}_joules") + pl.col("gpu_joules"),
            seconds=seconds,
            active_seconds=seconds - pl.col("away_seconds").fill_null(0.0),
        )
        .with_columns(*costs(prices), co2_grams=co2_grams(prices))
    )


def _of_users(gained: pl.DataFrame) -> pl.DataFrame:
    """Add up each user's runs under each account."""
    costs = [f"{component}_cost" for component in COST_COMPONENTS]
    return gained.group_by("user", "account").agg(
        pl.first("currency"), *totals(["joules", "co2_grams", *costs]), until=pl.max("last_window_end")
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


def _run_power(runs: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    power = parts.filter(pl.col("gpu_watts").is_not_null())
    return power.with_columns(runs["run_id"].gather(power["run"]), pl.when(pl.col("gpu_watts") != 0).then("gpu_watts"))


def _node_power(nodes: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    return nodes.filter(pl.col("window") == windows.count - 1).with_columns(
        (pl.col(f"{name}_joules") / windows.seconds).alias(f"{name}_watts") for name in COMPONENTS
    )
