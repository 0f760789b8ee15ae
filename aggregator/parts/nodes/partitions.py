"""What runs and waits in each partition?"""

import polars as pl

from aggregator.engine.frame import Frames, total
from aggregator.model.job_inputs import Runs
from aggregator.model.node_inputs import Scheduler
from aggregator.parts.jobs.time import ALLOCATED_CPUS, HOLDS, IS_OPEN


def join_partitions(runs: Runs, scheduler: Scheduler) -> Frames:
    """Add up the open runs of each partition (a pending one is in all that it names) beside slurmctld's numbers."""
    named = runs.runs.filter(IS_OPEN).select(
        "run_id", "state", allocated_memory_bytes="granted_memory_bytes",
        holds=HOLDS,
        tasks=pl.max_horizontal(1, "pending_tasks"),
        allocated_cpus=ALLOCATED_CPUS,
        partition=pl.col("partition").str.split(","),
    )  # fmt: skip
    of_open = named.explode("partition", empty_as_null=True).filter(pl.col("partition") != "")
    holding = of_open.filter("holds")
    counts = holding.select("run_id", "partition").join(runs.gpus, on="run_id").group_by("partition", "gpu_type")
    return {
        "partitions": _partitions(of_open, scheduler).sort("partition"),
        "partition_states": of_open.group_by("partition", "state").agg(jobs=pl.col("tasks").sum()).sort(pl.all()),
        "partition_gpus": counts.agg(pl.col("count").sum()).sort("partition", "gpu_type"),
    }


def _partitions(of_open: pl.DataFrame, scheduler: Scheduler) -> pl.DataFrame:
    """Add up what is held; where nothing runs nothing is held."""
    holds, held = pl.col("holds"), ("allocated_cpus", "allocated_memory_bytes")
    sums = of_open.group_by("partition").agg(
        pl.when(holds.any()).then(total(pl.col(name).filter(holds))).otherwise(0).alias(name) for name in held
    )
    said = scheduler.partitions.select("partition", pl.exclude("partition").name.prefix("slurmctld_"))
    both = sums.with_columns(has_jobs=True).join(
        said.with_columns(is_in_slurmctld=True), on="partition", how="full", coalesce=True
    )
    return both.with_columns(
        *(pl.when(pl.col("has_jobs").is_null()).then(0).otherwise(name).alias(name) for name in held),
        pl.col("is_in_slurmctld").fill_null(value=False),
    )
