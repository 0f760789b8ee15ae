"""How much of its allocation a run uses, and what is wasted: columns of `jobs` computed from its other columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.waste import COVERAGE_FLOOR
from aggregator.parts.jobs.declare import OPEN, coverage_of, fact, gauge

# Of a run of which less was seen until its newest sample, nothing is said about the whole.
OBSERVED_FLOOR: Final = 0.5
# A run that uses more than this many times its allocation is not limited to it: Slurm does not manage that resource.
MOST_OF_ALLOCATED: Final = 10.0
# An allocation up to this much above the fair share is not worth anybody's time.
FAIR_SHARE_MARGIN: Final = 1.1

_EXPORTER: Final = "slurm-job-exporter"
_TOO_LITTLE: Final = "not known, or too little of the run was seen"
_CPU, _PEAK = ("cpu_seconds", "sampled_at"), ("memory_peak_bytes", "sampled_at")
_HELD_WHILE_SEEN: Final = "$granted_cpus * $observed_ratio * $elapsed_seconds"
# No more are judged than the run holds; a leftover series may show another one.
GPU_MEAN: Final = "(sum($gpu_utilization) or vector(0)) / clamp_min(count($gpu_utilization) or vector(0), $gpus_judged)"
EFFICIENCY: Final = (
    fact("observed_ratio", pl.Float64, "Share of the run's time on which its ratios and wasted CPU time rest.",
         "too little of the run was seen", inputs=("sampled_at",)),
    gauge("cpu_efficiency_ratio", "CPU time used ÷ held until the newest sample; absent if less than half was seen.",
          f"{_EXPORTER} slurm_job_core_usage_total ÷ (observed time × tres_alloc cpu)", null=_TOO_LITTLE,
          inputs=_CPU, promql=f"sum($cpu_seconds) / ({_HELD_WHILE_SEEN})", coverage="observed_ratio"),
    gauge("memory_efficiency_ratio", "Peak memory ÷ memory held; absent where Slurm does not manage memory.",
          f"{_EXPORTER} slurm_job_memory_max ÷ tres_alloc mem", null=_TOO_LITTLE, inputs=_PEAK,
          promql="sum($memory_peak_bytes) / $granted_memory_bytes", coverage="observed_ratio"),
    gauge("time_limit_used_ratio", "Elapsed time ÷ time limit.", "slurmacct job_table time_start, timelimit",
          null="not started, or unlimited", inputs=("slurmacct",)),
    gauge("wasted_cpus", "CPUs held and not busy now, at least 0; absent below a coverage of 0.8.",
          "allocated − used", where=OPEN, inputs=("cpus",), coverage=coverage_of("cpu"),
          promql="clamp_min($allocated_cpus * $cpu_coverage_ratio - sum($cpus), 0)"),
    gauge("wasted_memory_bytes", "Memory held above both the fair share and the peak.",
          "allocated − max(peak, fair share)", null=_TOO_LITTLE, where=OPEN, inputs=_PEAK),
    gauge("wasted_gpus", "GPUs held − the sum of their utilisation; absent below a coverage of 0.8.",
          "judged GPUs − Σ utilisation", where=OPEN, inputs=("gpu_utilization", "healthy_nodes", "gpu_nodes"),
          promql=f"clamp_min($gpus_judged - $gpus_judged * {GPU_MEAN}, 0)", coverage=coverage_of("gpu")),
    gauge("wasted_gpu_units", "GPUs held and not utilised, in the site's units; each of the job's GPUs counts alike.",
          "wasted GPUs × allocated units ÷ allocated GPUs", where=OPEN, cost="GPU jobs",
          null="not known, or a type without units",
          inputs=("gpu_utilization", "healthy_nodes", "gpu_nodes"), coverage=coverage_of("gpu"),
          promql=f"clamp_min($gpus_judged - $gpus_judged * {GPU_MEAN}, 0) * $allocated_gpu_units / $allocated_gpus"),
    gauge("wasted_cpu_seconds", "CPU time held and not used until the newest sample, at least 0.",
          f"observed time × tres_alloc cpu − {_EXPORTER} slurm_job_core_usage_total", null=_TOO_LITTLE,
          inputs=_CPU, promql=f"clamp_min({_HELD_WHILE_SEEN} - sum($cpu_seconds), 0)", coverage="observed_ratio"),
)  # fmt: skip
_CPUS: Final = pl.col("granted_cpus").cast(pl.Float64)
_MEMORY: Final = pl.col("granted_memory_bytes").cast(pl.Float64)
_GPUS: Final = pl.col("granted_gpus").cast(pl.Float64)
_START: Final = pl.col("start_timestamp_seconds")
_CAN_USE_GPUS: Final = pl.col("state") != "suspended"
# What several columns need, which is computed once: how long the run has run, the seconds that its counters cover (time
# after the newest sample is neither used nor wasted), and its totals where enough of it was observed.
_ELAPSED: Final = pl.col("#elapsed")
_SEEN: Final = pl.col("#seen")
_CPU_SECONDS: Final = pl.col("#cpu_seconds")
_PEAK_BYTES: Final = pl.col("#memory_peak_bytes")


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


def with_efficiency(jobs: pl.DataFrame, fair_share: FairShare) -> pl.DataFrame:
    """Add the columns EFFICIENCY to those of JOBS and `job_start` of RUNS.

    Each is null where something that it needs is null. Ratios are used ÷ allocated; wasted CPUs, memory and GPUs are
    those of now, wasted seconds those of the run so far.
    """
    timed = jobs.with_columns(pl.when(_START.is_not_null()).then(pl.col("elapsed_seconds")).alias("#elapsed"))
    seen = timed.with_columns(_least(pl.col("observed_seconds"), _ELAPSED).alias("#seen"))
    enough = (_SEEN > 0) & (_SEEN >= OBSERVED_FLOOR * _ELAPSED)
    totals = [pl.when(enough).then(name).alias(f"#{name}") for name in ("cpu_seconds", "memory_peak_bytes")]
    return seen.with_columns(totals).with_columns(**_efficiencies(fair_share))


def _efficiencies(fair_share: FairShare) -> Mapping[str, pl.Expr]:
    cpu_time, is_known = _SEEN * _CPUS, _CPU_SECONDS.is_not_null() | _PEAK_BYTES.is_not_null()
    return {
        "observed_ratio": pl.when(is_known).then(_SEEN / _ELAPSED),
        "cpu_efficiency_ratio": _ratio(_CPU_SECONDS, cpu_time),
        "memory_efficiency_ratio": _ratio(_PEAK_BYTES, _MEMORY),
        "time_limit_used_ratio": _time_limit_used(),
        "wasted_cpus": _wasted_cpus(),
        "wasted_memory_bytes": (_MEMORY - _most(_PEAK_BYTES, fair_share.memory())).clip(lower_bound=0.0),
        "wasted_gpus": _wasted_gpus(),
        "wasted_gpu_units": in_units(_wasted_gpus()),
        "wasted_cpu_seconds": pl.when(_CPUS > 0).then((cpu_time - _CPU_SECONDS).clip(lower_bound=0.0)),
    }


def wasted_gpu_seconds() -> pl.Expr:
    """Give the GPU time that was observed and not used, over the ledger's columns."""
    seconds = pl.col("ledger_gpu_seconds")
    return pl.when(seconds > 0).then((seconds - pl.col("ledger_gpu_used_seconds")).clip(lower_bound=0.0))


def in_units(gpus: pl.Expr) -> pl.Expr:
    """Give an amount of the run's GPUs in the units of the site, as if each of them had its part of it."""
    return gpus * pl.col("allocated_gpu_units") / pl.col("allocated_gpus")


def _least(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Give the lesser of the two; null where either is null, which `min_horizontal` would skip."""
    return pl.when(one < other).then(one).when(one >= other).then(other)


def _most(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return pl.when(one > other).then(one).when(one <= other).then(other)


def _ratio(used: pl.Expr, allocated: pl.Expr) -> pl.Expr:
    """Give used ÷ allocated; null where nothing is allocated, or where Slurm cannot be managing the resource."""
    return pl.when((allocated > 0) & (used <= MOST_OF_ALLOCATED * allocated)).then(used / allocated)


def _time_limit_used() -> pl.Expr:
    """Give elapsed ÷ limit. The limit is for the job: time before a resize counts."""
    job_start, limit = pl.col("job_start"), pl.col("time_limit_seconds")
    before = pl.when(job_start.is_null()).then(0.0).otherwise(_START - job_start)
    return pl.when(limit > 0).then((_ELAPSED + before) / limit)


def _wasted_cpus() -> pl.Expr:
    """Give the allocated CPUs that are not busy, on the nodes that were seen."""
    coverage = pl.col("cpu_coverage_ratio")
    idle = (pl.col("allocated_cpus") * coverage - pl.col("used_cpus")).clip(lower_bound=0.0)
    return pl.when(coverage >= COVERAGE_FLOOR).then(idle)


def _wasted_gpus() -> pl.Expr:
    """Give the GPUs that the run could have used; a suspended run cannot use any."""
    judged = pl.col("gpus_judged")
    # A utilisation may read a little over 1.
    idle = (judged - pl.col("gpu_utilization_ratio") * judged).clip(lower_bound=0.0)
    return pl.when((pl.col("gpu_coverage_ratio") >= COVERAGE_FLOOR) & _CAN_USE_GPUS).then(idle)
