"""What do energy and hardware cost, in grams of CO2 and in money?"""

import polars as pl

from aggregator.model.energy import Prices
from aggregator.model.tres import board_part

_JOULES_PER_KWH = 3.6e6
_HOUR = 3600.0


def co2_grams(prices: Prices) -> pl.Expr:
    """Give kWh × PUE × grams per kWh of the column joules; null without a factor."""
    return pl.col("joules") / _JOULES_PER_KWH * prices.pue * pl.lit(prices.grams_per_kwh, dtype=pl.Float64)


def costs(prices: Prices) -> list[pl.Expr]:
    """Give the columns currency and …_cost of runs; null for a price that is not known.

    They have joules, seconds on their nodes, active_seconds: not suspended, and gpus_hour. Hardware is the hours of a
    run's GPUs, whose price is their node's, else of its CPUs, which a suspended run does not keep.
    """
    electricity = pl.col("joules") / _JOULES_PER_KWH * prices.pue * pl.lit(prices.per_kwh, dtype=pl.Float64)
    of_cpus = pl.col("allocated_cpus") * pl.lit(prices.cpu_hour, dtype=pl.Float64) * pl.col("active_seconds")
    of_gpus = pl.col("gpus_hour") * pl.col("seconds")
    return [
        pl.lit(prices.currency, dtype=pl.String).alias("currency"),
        electricity.alias("electricity_cost"),
        (electricity * pl.lit(prices.cooling_share, dtype=pl.Float64)).alias("cooling_cost"),
        (pl.when(pl.col("allocated_gpus") > 0).then(of_gpus).otherwise(of_cpus) / _HOUR).alias("hardware_cost"),
    ]


def gpus_of_runs(allocated_gpus: pl.DataFrame, prices: Prices) -> pl.DataFrame:
    """Count each run's GPUs (allocated_gpus), a slice as a part of one (boards), and give what an hour of them costs.

    gpus_hour is null where the price of one of its types is not known.
    """
    names = allocated_gpus["gpu_type"].unique()
    other = prices.gpu_hour.get("default")
    types = pl.DataFrame({
        "gpu_type": names,
        "part": pl.Series([board_part(name) for name in names], dtype=pl.Float64),
        "price": pl.Series([prices.gpu_hour.get(name, other) for name in names], dtype=pl.Float64),
    })  # fmt: skip
    gpus, cost = pl.col("gpus"), pl.col("price") * pl.col("gpus")
    return (
        allocated_gpus.join(types, on="gpu_type", validate="m:1")
        .group_by("run_id")
        .agg(
            allocated_gpus=gpus.sum(),
            boards=(gpus * pl.col("part")).sum(),
            gpus_hour=pl.when(cost.null_count() == 0).then(cost.sum()),
        )
        .sort("run_id")
    )
