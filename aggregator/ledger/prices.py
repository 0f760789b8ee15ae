"""What do energy and hardware cost, in grams of CO2 and in money?"""

import polars as pl

from aggregator.engine.frame import whole
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
    of_cpus = _priced(pl.col("allocated_cpus"), prices.cpu_hour) * pl.col("active_seconds")
    of_gpus = pl.col("gpus_hour") * pl.col("seconds")
    return [
        pl.lit(prices.currency, dtype=pl.String).alias("currency"),
        *energy_costs(prices),
        (pl.when(pl.col("allocated_gpus") > 0).then(of_gpus).otherwise(of_cpus) / _HOUR).alias("hardware_cost"),
    ]


def wasted_hardware_cost(prices: Prices) -> pl.Expr:
    """Give the part of hardware_cost that was for nothing; runs have wasted_cpu_seconds and wasted_gpu_seconds, too."""
    of_cpus = _priced(pl.col("wasted_cpu_seconds"), prices.cpu_hour)
    of_gpus = pl.col("gpus_hour") / pl.col("allocated_gpus") * pl.col("wasted_gpu_seconds")
    return pl.when(pl.col("allocated_gpus") > 0).then(of_gpus).otherwise(of_cpus) / _HOUR


def energy_costs(prices: Prices, prefix: str = "") -> list[pl.Expr]:
    """Give the columns electricity_cost and cooling_cost of the column joules, all three with a prefix."""
    electricity = _priced(pl.col(f"{prefix}joules") / _JOULES_PER_KWH * prices.pue, prices.per_kwh)
    cooling = _priced(electricity, prices.cooling_share)
    return [electricity.alias(f"{prefix}electricity_cost"), cooling.alias(f"{prefix}cooling_cost")]


def _priced(amount: pl.Expr, price: float | None) -> pl.Expr:
    """Multiply by a price; without one nothing is computed."""
    return pl.lit(None, dtype=pl.Float64) if price is None else amount * price


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
            gpus_hour=whole(cost),
        )
        .sort("run_id")
    )
