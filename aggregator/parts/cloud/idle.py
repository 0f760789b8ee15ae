"""Does an instance idle? What was not seen for nearly all of the rule's duration is not judged."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aggregator.engine.frame import ratio
from aggregator.model.cloud import IdleRule

# Below this share of the duration an instance is not judged.
COVERAGE_FLOOR: Final = 0.9


def judge(rule: IdleRule) -> Sequence[pl.Expr]:
    """Write whether instances (INSTANCES) idle, why not, and the means over the duration that this rests on."""
    cpu = ratio(pl.col("did_cpu_seconds"), pl.col("vcpus") * rule.duration)
    network = pl.col("did_network_bytes") / rule.duration
    seen = pl.col("did_coverage")
    percent = (seen * 100).round(0).cast(pl.Int64).cast(pl.String)
    is_busy, is_talking = cpu >= rule.cpu_ratio, network >= rule.network_bytes_per_second
    because = (
        pl.when(seen.is_null())
        .then(pl.lit("what it did lately has not been read yet"))
        .when(seen < COVERAGE_FLOOR)
        .then(pl.format("seen for {}% of the time only", percent))
        .when(cpu.is_null())
        .then(pl.lit("its CPU time is not known"))
        .when(is_busy)
        .then(pl.lit("it uses its CPUs"))
        .when(network.is_null())
        .then(pl.lit("its network traffic is not known"))
        .when(is_talking)
        .then(pl.lit("it uses the network"))
    )
    # Busy CPUs decide alone; what is null is not known.
    idle = pl.when(seen >= COVERAGE_FLOOR).then(~is_busy & pl.when(~is_busy).then(~is_talking).otherwise(True))
    return [
        pl.when(cpu.is_not_null()).then(idle).alias("idle"),
        because.alias("idle_because"),
        cpu.alias("cpu_ratio"),
        network.alias("network_bytes_per_second"),
        seen.fill_null(0.0).alias("coverage_ratio"),
    ]
