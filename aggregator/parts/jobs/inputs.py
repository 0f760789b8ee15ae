"""What jobs are made of: the runs of slurmacct, and what Prometheus has of their use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema

# One row per run of the job table. Times are epoch seconds, null where the event has not happened. granted_* are what
# tres_alloc says, whatever the state is; memory is null where Slurm does not manage it. state is Slurm's word in lower
# case. suspended_since is set while the run is suspended: when all its suspensions put together would have begun.
# job_start is set for a row that a resize has made: the job, its processes and their counters began then.
RUNS: Final = schema(
    {
        "run_id": pl.UInt64,
        "job_id": pl.Int64,
        "user": pl.String,
        "account": pl.String,
        "state": pl.String,
        "partition": pl.String,
        "qos": pl.String,
        "job_name": pl.String,
        "array_job_id": pl.Int64,
        "array_task_id": pl.Int64,
        "pending_tasks": pl.Int64,
        "het_job_id": pl.Int64,
        "het_offset": pl.Int64,
        "submit": pl.Float64,
        "eligible": pl.Float64,
        "start": pl.Float64,
        "end": pl.Float64,
        "suspended_seconds": pl.Float64,
        "suspended_since": pl.Float64,
        "job_start": pl.Float64,
        "time_limit_seconds": pl.Float64,
        "granted_cpus": pl.Int64,
        "granted_memory_bytes": pl.Int64,
        "granted_nodes": pl.Int64,
        "granted_gpus": pl.Int64,
        "granted_gpu_equivalents": pl.Float64,
        "gpu_types": pl.String,
        "nodes": pl.List(pl.String),
        "association_id": pl.Int64,
        "uid": pl.Int64,
    }
)
# What each run holds of one kind, beside the counts of RUNS: GPUs by Slurm's type ("" when untyped).
RUN_GPUS: Final = schema({"run_id": pl.UInt64, "gpu_type": pl.String, "count": pl.Int64})
# One value of a job on a node, in base units. A job that spans nodes has one of each node that its exporter reported.
NODE_VALUES: Final = schema({"job_id": pl.Int64, "node": pl.String, "value": pl.Float64})
# One GPU of one job as an exporter shows it; null where it gave no plausible value.
GPUS: Final = schema({"job_id": pl.Int64, "node": pl.String, "utilization": pl.Float64, "memory_bytes": pl.Float64})
# What a job's counters showed on a node in the first samples of a run that began after them.
BASES: Final = schema(
    {
        "run_id": pl.UInt64,
        "node": pl.String,
        "base_at": pl.Float64,
        "base_cpu_seconds": pl.Float64,
        "base_peak_bytes": pl.Float64,
    }
)
# The inputs that are values of a job on a node.
OF_NODES: Final = ("cpus", "cpu_seconds", "sampled_at", "memory_bytes", "memory_peak_bytes", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One fetch from Prometheus, all of it at one evaluation time but for inputs that failed and have an older value.

    values are by input (OF_NODES); an input that is not there, as gpus that are None, could not be read: nothing may be
    concluded from it. cpu_window and interval are the seconds over which CPU rates were taken and between two scrapes.
    healthy_nodes have an exporter that is up, gpu_nodes one that has shown GPUs lately. oldest is the time of the
    oldest value, None where all are of now.
    """

    time: float
    interval: float = 30.0
    cpu_window: float = 120.0
    values: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    gpus: pl.DataFrame | None = None
    healthy_nodes: frozenset[str] | None = None
    gpu_nodes: frozenset[str] | None = None
    oldest: float | None = None

    @property
    def since(self) -> float:
        """Give the time of the oldest value: of a run that began later nothing is known yet."""
        return self.time if self.oldest is None else self.oldest
