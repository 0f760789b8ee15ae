"""What a run's GPUs count in the units of the site, in which an hour of a small GPU is not one of a large GPU."""

from collections.abc import Mapping

import polars as pl

from aggregator.engine.frame import whole
from aggregator.model.job_inputs import Runs
from aggregator.model.tres import gpu_units


def units_of_runs(runs: pl.DataFrame, units: Mapping[str, float]) -> pl.DataFrame:
    """Give the `granted_gpu_units` of runs (RUNS) with GPUs, by `run_id`.

    units is what a GPU counts by Slurm's type. Null where one of the run's types has none: a part is not the whole.
    """
    gpus = Runs(runs).gpus if units else Runs(runs.clear()).gpus
    names = gpus["gpu_type"].unique()
    each = pl.DataFrame({
        "gpu_type": names,
        "units": pl.Series([gpu_units(name, units) for name in names], dtype=pl.Float64),
    })  # fmt: skip
    counted = whole(pl.col("count") * pl.col("units"))
    return gpus.join(each, on="gpu_type", validate="m:1").group_by("run_id").agg(granted_gpu_units=counted)
