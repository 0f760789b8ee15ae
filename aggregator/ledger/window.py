"""What do some closed windows add to the totals of each run, user and node?

All of it is a function of what slurmacct and Prometheus say of these windows, and of the best meter of each node so
far: the windows of a day may be added in any pieces, oldest first.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.engine.frame import totals
from aggregator.ledger.frames import ALLOCATED_GPUS, RUNS, by_number, column_of, known_add, sum_by
from aggregator.ledger.gpu_time import gpu_time, judged_gpus
from aggregator.ledger.gpus import gpu_tenants
from aggregator.ledger.nodes import with_best_meter, with_numbers
from aggregator.ledger.prices import co2_grams, costs, energy_costs, gpus_of_runs, wasted_hardware_cost
from aggregator.ledger.shares import share
from aggregator.ledger.tenants import present_runs, slots, tenants
from aggregator.ledger.waste import idle_gpus, wasted_cpu_seconds, with_idle_cpus
from aggregator.model.energy import COMPONENTS, COST_COMPONENTS, METERS, MODELS, Prices
from aggregator.model.ledger import BEST_METERS, NODE_GAINS, NODE_POWER, RUN_GAINS, RUN_POWER, USER_GAINS
from aggregator.model.readings import GPUS, METER, NODES, USED, Readings, Windows

_PARTS: Final = (*MODELS, "gpu")
_RESETS: Final = ("was_busy", "was_all_busy")
_GPU_TIME: Final = (
    "gpu_seconds", "gpu_used_seconds", "gpu_idle_seconds", "gpu_partly_idle_seconds", "gpu_unseen_seconds",
    "gpu_partly_unseen_seconds",
)  # fmt: skip
_OF_NODES: Final = [
    "node", "window", "meter", "best", "is_best_meter", "is_measured", "covered",
    *(f"{name}_joules" for name in COMPONENTS),
]  # fmt: skip
_OF_USERS: Final = (
    "joules", "co2_grams", "wasted_cpu_seconds", "wasted_gpu_seconds", "wasted_joules", "wasted_hardware_cost",
    *(f"{component}_cost" for component in COST_COMPONENTS),
)  # fmt: skip
_IS_COVERED: Final = pl.col("is_known") & pl.col("is_best_meter")


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
    not even that of its GPUs: jobs add up to nodes. Raises ValueError for a frame that is not as declared, or has two
    rows of a key.
    """
    windows = readings.windows
    present = present_runs(RUNS.of(runs), gpus_of_runs(ALLOCATED_GPUS.of(allocated_gpus), prices), windows)
    (nodes, before, of_runs, used, gpus), count = with_numbers(
        NODES.of(readings.nodes).sort("window"), BEST_METERS.of(meters), slots(present), USED.of(readings.used),
        GPUS.of(readings.gpus),
    )  # fmt: skip
    nodes = with_best_meter(nodes, before, count, windows)
    on_nodes = with_idle_cpus(tenants(of_runs, nodes, used, windows, count))
    with_gpus = gpu_tenants(on_nodes, of_runs, _with_unplaced(gpus, of_runs), windows)
    judged = judged_gpus(with_gpus, present["allocated_gpus"])
    with_gpus = with_gpus.hstack([idle_gpus(judged, with_gpus, len(present), windows)])
    nodes, parts = share(nodes, _measured(on_nodes, with_gpus), windows.seconds, prices.model)
    nodes = nodes[_OF_NODES].filter("is_measured")
    wasted = wasted_cpu_seconds(on_nodes, len(present), windows)
    gained = _gained(present.hstack([wasted]), _of_runs(parts, windows, prices.model), gpu_time(judged), prices)
    return Gains(
        windows.end,
        RUN_GAINS.of(gained),
        USER_GAINS.of(_of_users(gained, windows, prices)),
        NODE_GAINS.of(_of_nodes(nodes, windows)),
        RUN_POWER.of(_run_power(gained)),
        NODE_POWER.of(_node_power(nodes, windows)),
    )


def _with_unplaced(gpus: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Add the GPUs of the jobs of runs whose nodes are not known: they are all taken to be the run's."""
    unplaced = slots.filter(pl.col("node_number") == 0)
    if unplaced.is_empty():
        return gpus
    found = gpus.drop("key").join(unplaced[["job_id", "key"]].unique(), on="job_id")
    return pl.concat([gpus, found[gpus.columns]])


def _measured(on_nodes: pl.DataFrame, with_gpus: pl.DataFrame) -> pl.DataFrame:
    """Give the tenants of measured nodes, with the power of their own GPUs."""
    of_gpus = [
        column_of(default, len(on_nodes), with_gpus["tenant"], with_gpus[name])
        for name, default in (("own_gpu_watts", None), ("unseen_gpus", 0.0), ("idle_gpus", None))
    ]
    return on_nodes.hstack(of_gpus).filter("is_measured")


def _of_runs(parts: pl.DataFrame, windows: Windows, model: str) -> pl.DataFrame:
    """Add up each run's parts: of the covered time, and the mean power over the last window on its measured nodes.

    So runs add up to nodes, in joules and in watts. Of a run without a measured node in the last window watts are null.
    """
    covered, meter, is_last = pl.col("covered"), pl.col("meter"), pl.col("window") == windows.count - 1
    time = pl.col("seconds") * covered / pl.col("nodes_count")
    whole = pl.when(is_last)
    idle = known_add(pl.col(f"{model}_joules") * pl.col("idle_cpus"), pl.col("gpu_joules") * pl.col("idle_gpus"))
    summands = parts.select_seq(
        "run",
        *(pl.col(f"{of}_joules") * covered for of in _PARTS),
        *(pl.when(meter == name).then(time).alias(f"{name}_seconds") for name in METERS),
        *(whole.then(pl.col(f"{of}_joules") / windows.seconds).alias(f"{of}_watts") for of in _PARTS),
        wasted_joules=idle * covered,
        power_seconds=pl.when(_IS_COVERED).then(time).otherwise(0.0),
        coverage=pl.when(_IS_COVERED & is_last).then(time / windows.seconds).otherwise(0.0),
    )
    # Most runs have one part in one window, and nothing to add up.
    is_one = (parts["nodes_count"] == 1) & (windows.count == 1)
    return pl.concat([summands.filter(is_one), sum_by("run", summands.filter(~is_one))])


def _gained(runs: pl.DataFrame, parts: pl.DataFrame, times: pl.DataFrame, prices: Prices) -> pl.DataFrame:
    """Add what each run gains; what was not measured is not 0 joules."""
    count = len(runs)
    return (
        runs.hstack([*by_number("run", parts, count), *by_number("run", times, count)])
        .with_columns_seq(
            pl.col("power_seconds", *_GPU_TIME).fill_null(0.0),
            pl.col(_RESETS).fill_null(value=False),
            joules=pl.col(f"{prices.model}_joules") + pl.col("gpu_joules"),
            seconds=pl.col("until") - pl.col("since"),
        )
        .with_columns_seq(
            *costs(prices), wasted_hardware_cost=wasted_hardware_cost(prices), co2_grams=co2_grams(prices)
        )
    )


def _of_users(gained: pl.DataFrame, windows: Windows, prices: Prices) -> pl.DataFrame:
    """Add up each user's runs under each account."""
    # What is known of no run, such as all that has no price, is not added up.
    known = [name for name in _OF_USERS if gained[name].null_count() < len(gained)]
    users = gained.group_by("user", "account").agg(pl.first("currency"), *totals(known), pl.max("until"))
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in _OF_USERS if name not in known]
    ends = windows.frame()["window_end"]
    until = ends[ends.search_sorted(users["until"])].alias("until")
    return users.with_columns_seq(*unknown, until).with_columns_seq(energy_costs(prices, "wasted_"))


def _of_nodes(nodes: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Add up the covered part of each node's windows."""
    covered, is_best = pl.col("covered"), pl.col("is_best_meter")
    time = covered * windows.seconds
    return (
        nodes.select_seq(
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


def _run_power(gained: pl.DataFrame) -> pl.DataFrame:
    power = gained[[*RUN_POWER.schema]].filter(pl.col("gpu_watts").is_not_null())
    return power.with_columns_seq(pl.when(pl.col("gpu_watts") != 0).then("gpu_watts"))


def _node_power(nodes: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    return nodes.filter(pl.col("window") == windows.count - 1).with_columns_seq(
        (pl.col(f"{name}_joules") / windows.seconds).alias(f"{name}_watts") for name in COMPONENTS
    )
