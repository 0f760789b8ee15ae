"""What has the ledger of each run?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import add_columns, ratio, total
from aggregator.model.energy import METERS, MODELS
from aggregator.model.ledger import RUN_POWER, LedgerView
from aggregator.parts.jobs.efficiency import in_units, wasted_gpu_seconds

_SAME: Final = (
    "gpu_idle_seconds", "gpu_partly_idle_seconds", "gpu_unseen_seconds", "gpu_partly_unseen_seconds",
)  # fmt: skip
_RENAMED: Final = {
    "ledger_since_timestamp_seconds": "since",
    "ledger_until_timestamp_seconds": "until",
    "ledger_gpu_seconds": "gpu_seconds",
    "ledger_gpu_used_seconds": "gpu_used_seconds",
    "co2_grams_total": "co2_grams",
}
_WATTS: Final = ("node_watts", "gpu_watts")


def add_energy(jobs: pl.DataFrame, view: LedgerView) -> pl.DataFrame:
    """Add what the ledger has of runs (RUN_TOTALS), and what they drew in its last window (RUN_POWER)."""
    found = _with_power(view).select(
        "run_id", *_SAME, "node_watts", "gpu_watts", "watts_coverage_ratio",
        power_coverage_ratio=_share_of_time("power_seconds"),
        energy_joules_total=_joules(view.prices.model),
        gpu_energy_joules=_above_0("gpu_joules"),
        **{f"{model}_energy_joules": _joules(model) for model in MODELS},
        **{f"{meter}_coverage_ratio": _above_0(_share_of_time(f"{meter}_seconds")) for meter in METERS},
        **{name: pl.col(of) for name, of in _RENAMED.items()},
    )  # fmt: skip
    joined = add_columns(jobs.drop(found.columns[1:]), found, on="run_id").with_columns(
        has_gpu_time=pl.col("ledger_gpu_seconds") > 0,
        gpu_efficiency_ratio=ratio("ledger_gpu_used_seconds", "ledger_gpu_seconds"),
        wasted_gpu_seconds=wasted_gpu_seconds(),
        wasted_gpu_unit_seconds=in_units(wasted_gpu_seconds()),
    )
    return _with_shown_watts(joined)


def _share_of_time(seconds: str) -> pl.Expr:
    return ratio(seconds, pl.col("until") - pl.col("since")).clip(None, 1.0)


def _above_0(value: str | pl.Expr) -> pl.Expr:
    amount = pl.col(value) if isinstance(value, str) else value
    return pl.when(amount > 0).then(amount)


def _joules(model: str) -> pl.Expr:
    """Add the GPUs' joules to the host's by a model; where nothing was measured there are none, though GPUs have 0."""
    host, gpu = pl.col(f"{model}_joules"), pl.col("gpu_joules")
    return pl.when(host.is_not_null() | (gpu > 0)).then(pl.sum_horizontal(host, gpu))


def _with_power(view: LedgerView) -> pl.DataFrame:
    """Add the watts also of a run that ended in that window: without it the jobs would not add up to their nodes."""
    power = view.power.runs if view.power else RUN_POWER.empty()
    watts = power.select(
        "run_id", "gpu_watts", node_watts=f"{view.prices.model}_watts", watts_coverage_ratio="coverage"
    )
    return add_columns(view.totals.runs, watts, on="run_id")


def _with_shown_watts(jobs: pl.DataFrame) -> pl.DataFrame:
    """Give the run that owns a job id the power of all its user's runs of the id.

    One that was requeued in the last window has no series, and without its power the jobs would not add up to their
    nodes.
    """
    whose = ["job_id", "user", "account"]
    several = jobs.select("run_id", *whose, *_WATTS).filter(pl.col("job_id").is_duplicated())
    sums = several.select("run_id", *(total(name).over(whose).alias(f"shown_{name}") for name in _WATTS), is_one=False)
    found = add_columns(jobs.drop(f"shown_{name}" for name in _WATTS), sums, on="run_id")
    is_one = pl.col("is_one").is_null()
    shown = (pl.when(is_one).then(name).otherwise(f"shown_{name}").alias(f"shown_{name}") for name in _WATTS)
    return found.with_columns(shown)
