"""How much of its allocation a run uses, and what is wasted: columns of `jobs` computed from its other columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

# Below this share of expected samples nothing is called wasted.
COVERAGE_FLOOR: Final = 0.8
# Of a run of which less was seen until its newest sample, nothing is said about the whole.
OBSERVED_FLOOR: Final = 0.5
# A run that uses more than this many times its allocation is not limited to it: Slurm does not manage that resource.
MOST_OF_ALLOCATED: Final = 10.0
# An allocation up to this much above the fair share is not worth anybody's time.
FAIR_SHARE_MARGIN: Final = 1.1

_CPUS: Final = pl.col("allocated_cpus")
_MEMORY: Final = pl.col("allocated_memory_bytes")
_GPUS: Final = pl.col("allocated_gpus")
_ELAPSED: Final = pl.col("elapsed_seconds")
_SUSPENDED: Final = pl.col("state") == "suspended"


@dataclass(frozen=True, slots=True)
class FairShare:
    """A node's normal memory per CPU and per GPU in bytes, and its CPUs per GPU: within it, nobody else loses."""

    memory_per_cpu: float = 4 * 2**30
    memory_per_gpu: float = 128 * 2**30
    cpus_per_gpu: float = 12

    def memory(self) -> pl.Expr:
        """Give the bytes that are no more than the share of a run's CPUs, or of its GPUs if it has any."""
        of_gpus, of_cpus = _GPUS * self.memory_per_gpu, _CPUS * self.memory_per_cpu
        return pl.when(_GPUS > 0).then(of_gpus).when(_GPUS == 0).then(of_cpus) * FAIR_SHARE_MARGIN

    def cpus(self) -> pl.Expr:
        """Give the CPUs that are no more than the share of a run's GPUs; 0 without GPUs."""
        return _GPUS * self.cpus_per_gpu * FAIR_SHARE_MARGIN


def efficiencies(fair_share: FairShare) -> Mapping[str, pl.Expr]:
    """Give the ratios and wasted amounts of every run by column; each is null where something that it needs is null.

    They read what slurmacct says (`state` in lower case, `allocated_*` as allocated, suspended or not,
    `elapsed_seconds`, `time_limit_seconds`, `start_timestamp_seconds`, `job_start_timestamp_seconds`), what the
    exporters show, and the ledger's columns. Ratios are used ÷ allocated; wasted CPUs, memory and GPUs are those of
    now, wasted seconds those of the run so far. `observed_ratio` is the share of the run's time on which the ratios and
    the wasted CPU time rest.
    """
    cpu_seconds, peak = _observed("cpu_seconds"), _observed("memory_peak_bytes")
    cpu_time = _seen() * _CPUS
    return {
        "observed_ratio": observed_ratio(),
        "cpu_efficiency_ratio": _ratio(cpu_seconds, cpu_time),
        "memory_efficiency_ratio": _ratio(peak, _MEMORY),
        "time_limit_used_ratio": _time_limit_used(),
        "wasted_cpus": _wasted_cpus(),
        "wasted_memory_bytes": (_MEMORY - _most(peak, fair_share.memory())).clip(lower_bound=0.0),
        "wasted_gpus": _wasted_gpus(),
        "wasted_cpu_seconds": pl.when(_CPUS > 0).then((cpu_time - cpu_seconds).clip(lower_bound=0.0)),
        "wasted_gpu_seconds": _wasted_gpu_seconds(),
    }


def observed_ratio() -> pl.Expr:
    """Give the share of the run's time that its counters cover; null where that is too little."""
    known = _observed("cpu_seconds").is_not_null() | _observed("memory_peak_bytes").is_not_null()
    return pl.when(known).then(_seen() / _ELAPSED)


def cpus_now() -> pl.Expr:
    """Give the CPUs that others cannot use now: slurmctld gives those of a suspended run away."""
    return pl.when(_SUSPENDED).then(0.0).when(~_SUSPENDED).then(_CPUS)


def _least(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Give the lesser of the two; null where either is null, which `min_horizontal` would skip."""
    return pl.when(one < other).then(one).when(one >= other).then(other)


def _most(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return pl.when(one > other).then(one).when(one <= other).then(other)


def _seen() -> pl.Expr:
    """Give the seconds that the run's counters cover: time after the newest sample is neither used nor wasted."""
    return _least(pl.col("observed_seconds"), _ELAPSED)


def _observed(column: str) -> pl.Expr:
    """Give a total of the whole run, where enough of the run was observed."""
    enough = (_seen() > 0) & (_seen() >= OBSERVED_FLOOR * _ELAPSED)
    return pl.when(enough).then(pl.col(column))


def _ratio(used: pl.Expr, allocated: pl.Expr) -> pl.Expr:
    """Give used ÷ allocated; null where nothing is allocated, or where Slurm cannot be managing the resource."""
    return pl.when((allocated > 0) & (used <= MOST_OF_ALLOCATED * allocated)).then(used / allocated)


def _time_limit_used() -> pl.Expr:
    """Give elapsed ÷ limit. The limit is for the job: time before a resize counts."""
    job_start, limit = pl.col("job_start_timestamp_seconds"), pl.col("time_limit_seconds")
    before = pl.when(job_start.is_null()).then(0.0).otherwise(pl.col("start_timestamp_seconds") - job_start)
    return pl.when(limit > 0).then((_ELAPSED + before) / limit)


def _wasted_cpus() -> pl.Expr:
    """Give the allocated CPUs that are not busy, on the nodes that were seen."""
    coverage = pl.col("cpu_coverage_ratio")
    idle = (cpus_now() * coverage - pl.col("used_cpus")).clip(lower_bound=0.0)
    return pl.when((coverage >= COVERAGE_FLOOR) & (_CPUS > 0)).then(idle)


def _wasted_gpus() -> pl.Expr:
    """Give the GPUs that the run could have used; a suspended run cannot use any."""
    judged = pl.col("gpus_judged")
    # A utilisation may read a little over 1.
    idle = (judged - pl.col("gpu_utilization_ratio") * judged).clip(lower_bound=0.0)
    return pl.when((pl.col("gpu_coverage_ratio") >= COVERAGE_FLOOR) & ~_SUSPENDED).then(idle)


def _wasted_gpu_seconds() -> pl.Expr:
    seconds = pl.col("ledger_gpu_seconds")
    return pl.when(seconds > 0).then((seconds - pl.col("ledger_gpu_used_seconds")).clip(lower_bound=0.0))
