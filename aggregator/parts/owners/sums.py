"""What do the open jobs of a user, and of an account, add up to?"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aggregator.engine.frame import total

# On its nodes now.
HOLDS: Final = (
    pl.col("is_open")
    & pl.col("start_timestamp_seconds").is_not_null()
    & pl.col("state").is_in(["running", "suspended"])
)
# Column of the sums → what is added up of the running jobs; null where it is known of none.
_ADDED: Final = {
    "used_cpus": pl.col("used_cpus"),
    "used_memory_bytes": pl.col("memory_used_bytes"),
    "memory_peak_bytes": pl.col("memory_peak_bytes"),
    "used_gpus": pl.col("gpu_utilization_ratio") * pl.col("gpus_judged"),
    "busy_gpus": pl.col("gpus_busy"),
    **{
        name: pl.col(name)
        for name in (
            "wasted_cpus", "wasted_memory_bytes", "wasted_gpus", "wasted_cpu_seconds", "wasted_gpu_seconds",
        )
    },
}  # fmt: skip


_HAS_POWER: Final = pl.col("node_watts").is_not_null() | pl.col("gpu_watts").is_not_null()
# One that ended in the ledger's last window has its part of that window's power.
_COUNTS: Final = pl.col("is_open") | _HAS_POWER


def sum_jobs(jobs: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Add up the running jobs of each group that has an open job, or drew power lately.

    Held is what jobs hold now, null where it is known of none: no CPUs while suspended, and no memory where Slurm does
    not manage it. Where none runs nothing is held, and no coverage is known.
    """
    running = HOLDS.any()
    memory = pl.col("allocated_memory_bytes")
    return jobs.filter(_COUNTS).group_by(by).agg(
        *(
            pl.when(running).then(_of_running(pl.col(name))).otherwise(0.0).alias(name)
            for name in ("allocated_cpus", "allocated_memory_bytes")
        ),
        *(_of_running(value).alias(name) for name, value in _ADDED.items()),
        total(pl.sum_horizontal("node_watts", "gpu_watts").filter(_HAS_POWER)).alias("power_watts"),
        pl.when(running).then(_weighted("cpu", pl.col("allocated_cpus").fill_null(0.0))),
        # Jobs that hold no memory weigh alike, beside others nothing.
        pl.when(running).then(_weighted("memory", pl.when(memory > 0).then(memory).otherwise(1.0))),
        pl.when(running).then(_weighted("gpu", pl.col("allocated_gpus").fill_null(0.0))),
    )  # fmt: skip


def _of_running(value: pl.Expr) -> pl.Expr:
    return total(value.filter(HOLDS))


def _weighted(name: str, weight: pl.Expr) -> pl.Expr:
    """Weigh each coverage by what its job holds; an unknown one covers nothing, and of nothing held all is covered."""
    column = f"{name}_coverage_ratio"
    covered, held = (pl.col(column).fill_null(0.0) * weight).filter(HOLDS).sum(), weight.filter(HOLDS).sum()
    return pl.when(held > 0).then(covered / held).otherwise(1.0).alias(column)


def count_states(jobs: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count the open jobs of each group by state; a not yet split array counts as its tasks."""
    tasks = pl.max_horizontal(1, pl.col("pending_tasks"))
    return jobs.filter("is_open").group_by(*by, "state").agg(count=tasks.sum())


def count_gpus(jobs: pl.DataFrame, gpus: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count the GPUs that the running jobs of each group hold by type (`Runs.gpus`)."""
    held = jobs.filter(HOLDS).select("run_id", *by).join(gpus, on="run_id")
    return held.group_by(*by, "gpu_type").agg(pl.col("count").sum())


def count_findings(jobs: pl.DataFrame, findings: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count the findings of the running jobs of each group by reason and severity (WASTE)."""
    running = jobs.filter(HOLDS).select("run_id")
    found = findings.join(running, on="run_id", how="semi").group_by(*by, "reason", "severity").agg(count=pl.len())
    return found.with_columns(pl.col("severity").cast(pl.String))
