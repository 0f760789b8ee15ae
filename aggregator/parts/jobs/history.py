"""What do many ended runs add up to?"""

import math
from collections.abc import Mapping
from typing import Final

import polars as pl

from aggregator.engine.frame import add_columns
from aggregator.model.history import Known, RunsSummary
from aggregator.parts.jobs.time import elapsed, limited_seconds

QUANTILES: Final = (0.5, 0.75, 0.9, 0.99)
# Slurm ends a job a little after its limit: what was cut off is between the last two edges.
TIME_LIMIT_EDGES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, math.inf)
_ELAPSED: Final = elapsed(pl.col("end"))
_CPU_SECONDS: Final = _ELAPSED * pl.col("granted_cpus")
_MEMORY_SECONDS: Final = _ELAPSED * pl.col("granted_memory_bytes").fill_null(0)
_GPU_SECONDS: Final = _ELAPSED * pl.col("granted_gpus")


def summarize(runs: pl.DataFrame, kept: pl.DataFrame) -> RunsSummary:
    """Add up ended runs (RUNS) with what was kept of some of them (KEPT)."""
    rows = add_columns(runs, kept, on="run_id")
    # A run that a resize has made did not wait.
    waits = rows.filter(pl.col("job_start").is_null()).select(pl.col("start") - pl.col("eligible")).to_series()
    waits = waits.drop_nulls().sort()
    return RunsSummary(
        runs=rows.height,
        states=dict(rows.group_by("state", maintain_order=True).len().iter_rows()),
        started=waits.len(),
        wait_seconds={quantile: max(0.0, _quantile(waits, quantile)) for quantile in QUANTILES} if waits.len() else {},
        time_limit_used=_time_limit_used(rows),
        cpu_efficiency=_mean(rows, "cpu_efficiency_ratio", _CPU_SECONDS),
        memory_efficiency=_mean(rows, "memory_efficiency_ratio", _MEMORY_SECONDS),
        wasted_cpu_seconds=_sum(rows, "wasted_cpu_seconds", _CPU_SECONDS),
        wasted_gpu_seconds=_sum(rows, "wasted_gpu_seconds", _GPU_SECONDS),
    )


def _quantile(ordered: pl.Series, quantile: float) -> float:
    """Give the nearest rank: a wait that somebody had."""
    return float(ordered[max(0, math.ceil(quantile * ordered.len()) - 1)])


def _time_limit_used(rows: pl.DataFrame) -> Mapping[float, int]:
    """Count runs by used ÷ limit, cumulatively; those that never started or have no limit are not counted."""
    limited = rows.filter(
        pl.col("start").is_not_null() & pl.col("end").is_not_null() & (pl.col("time_limit_seconds") > 0)
    )
    if limited.is_empty():
        return {}
    ratios = limited.select(limited_seconds(pl.col("end")) / pl.col("time_limit_seconds")).to_series()
    return {edge: int((ratios <= edge).sum()) for edge in TIME_LIMIT_EDGES}


def _mean(rows: pl.DataFrame, ratio: str, allocated: pl.Expr) -> Known | None:
    """Weigh a ratio by what was allocated; None where it is known of nothing."""
    known = _sum(rows.with_columns(pl.col(ratio) * _weight(ratio, allocated)), ratio, allocated)
    weight = rows.select(_weight(ratio, allocated).sum()).item()
    return Known(known.value / weight, known.coverage) if known else None


def _sum(rows: pl.DataFrame, amount: str, allocated: pl.Expr) -> Known | None:
    """Add up what is known, with the share of what was allocated that it is known of."""
    found, weight, every = rows.select(
        found=pl.col(amount).sum(), weight=_weight(amount, allocated).sum(), every=allocated.sum()
    ).row(0)
    return Known(found, weight / every) if weight else None


def _weight(column: str, allocated: pl.Expr) -> pl.Expr:
    """Give what was allocated to a run of which a column is known: of one that was seen in part, for that part."""
    seen = allocated * pl.col("observed_ratio").fill_null(1.0)
    return pl.when(pl.col(column).is_not_null()).then(seen)
