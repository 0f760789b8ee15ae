"""What runs and waits in each partition?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import Frames, total, totals
from aggregator.model.job_inputs import Runs
from aggregator.model.node_inputs import Scheduler
from aggregator.parts.jobs.time import ALLOCATED_CPUS, HOLDS, IS_OPEN

_HELD: Final = ("allocated_cpus", "allocated_memory_bytes")


def join_partitions(runs: Runs, scheduler: Scheduler) -> Frames:
    """Add up the open runs of each partition (a pending one is in all that it names) beside slurmctld's numbers."""
    open_runs = runs.runs.select(
        "run_id", "partition", "state", "end", allocated_memory_bytes="granted_memory_bytes",
        holds=HOLDS,
        tasks=pl.max_horizontal(1, "pending_tasks"),
        allocated_cpus=ALLOCATED_CPUS,
    ).filter(IS_OPEN)  # fmt: skip
    # Few runs differ in which partitions they name.
    of_open = _each(open_runs.group_by("partition", "state", "holds").agg(pl.col("tasks").sum(), *totals(_HELD)))
    holding = open_runs.select("run_id", "partition", "holds").filter("holds").join(runs.gpus, on="run_id")
    gpus = _each(holding.group_by("partition", "gpu_type").agg(pl.col("count").sum()))
    return {
        "partitions": _partitions(of_open, scheduler).sort("partition"),
        "partition_states": of_open.group_by("partition", "state").agg(jobs=pl.col("tasks").sum()).sort(pl.all()),
        "partition_gpus": gpus.group_by("partition", "gpu_type").agg(pl.col("count").sum()).sort(pl.all()),
    }


def _each(named: pl.DataFrame) -> pl.DataFrame:
    """Put each of the partitions that a row names into a row."""
    rows = named.with_columns(pl.col("partition").str.split(",")).explode("partition", empty_as_null=True)
    return rows.filter(pl.col("partition") != "")


def _partitions(of_open: pl.DataFrame, scheduler: Scheduler) -> pl.DataFrame:
    """Add up what is held; where nothing runs nothing is held."""
    holds = pl.col("holds")
    sums = of_open.group_by("partition").agg(
        pl.when(holds.any()).then(total(pl.col(name).filter(holds))).otherwise(0).alias(name) for name in _HELD
    )
    said = scheduler.partitions.select("partition", pl.exclude("partition").name.prefix("slurmctld_"))
    both = sums.with_columns(has_jobs=True).join(
        said.with_columns(is_in_slurmctld=True), on="partition", how="full", coalesce=True
    )
    return both.with_columns(
        *(pl.when(pl.col("has_jobs").is_null()).then(0).otherwise(name).alias(name) for name in _HELD),
        pl.col("is_in_slurmctld").fill_null(value=False),
    )
