"""By what the largest may be looked for: one row per measure of a run, and of runs added up."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import polars as pl


class Measure(NamedTuple):
    """A number of a run, over the columns of `jobs`, and the column of sums that has it; null where it is not known."""

    unit: str
    of_job: pl.Expr
    of_sums: str


_WATTS: Final = ("node_watts", "gpu_watts")
MEASURES: Final[Mapping[str, Measure]] = {
    "cpus": Measure("cpus", pl.col("allocated_cpus"), "allocated_cpus"),
    "used_cpus": Measure("cpus", pl.col("used_cpus"), "used_cpus"),
    "wasted_cpus": Measure("cpus", pl.col("wasted_cpus"), "wasted_cpus"),
    "gpus": Measure("gpus", pl.col("granted_gpus"), "allocated_gpus"),
    "used_gpus": Measure("gpus", pl.col("gpu_utilization_ratio") * pl.col("gpus_judged"), "used_gpus"),
    "wasted_gpus": Measure("gpus", pl.col("wasted_gpus"), "wasted_gpus"),
    "memory": Measure("bytes", pl.col("granted_memory_bytes"), "allocated_memory_bytes"),
    "used_memory": Measure("bytes", pl.col("memory_used_bytes"), "used_memory_bytes"),
    "wasted_memory": Measure("bytes", pl.col("wasted_memory_bytes"), "wasted_memory_bytes"),
    # Nothing is left out as 0 is.
    "power": Measure("watts", pl.sum_horizontal(_WATTS), "power_watts"),
    "energy": Measure("joules", pl.col("energy_joules_total"), "energy_joules"),
    "lustre_bytes": Measure("bytes per second", pl.col("lustre_bytes_per_second"), "lustre_bytes"),
    "lustre_metadata": Measure(
        "operations per second", pl.col("lustre_metadata_operations_per_second"), "lustre_metadata"
    ),
}
