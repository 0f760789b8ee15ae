"""For how long has a run used its GPUs, and for how long have they been idle?

Windows count that the run filled: at its edges the samples may be another run's. A suspended run could not use its
GPUs, and is not judged.
"""

from typing import Final

import polars as pl

from aggregator.ledger.tenants import SPAN, presences
from aggregator.model.readings import Windows

# Of the run's GPUs so many must be judged before any of them is called idle.
COVERAGE_FLOOR: Final = 0.8
_SHOWN: Final = ("shown", "used", "busy", "trusted")


def gpu_time(runs: pl.DataFrame, gpu_tenants: pl.DataFrame, gpus: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Give the gains of each run with GPUs: `run`, and the gpu_… and was_… columns of RUN_GAINS.

    An allocated GPU without a series counts as idle only where the node's exporter can be trusted to show it; how many
    GPUs the run has on which node is not in slurmacct, so they are taken as spread evenly.
    """
    holders = runs.filter((pl.col("allocated_gpus") > 0) & ~pl.col("is_suspended"))
    present = presences(holders.select("run", "job_id", "nodes_count", "allocated_gpus", *SPAN), windows)
    is_trusted = pl.col("vouches_gpus").fill_null(value=False) | (pl.col("shown") > 0)
    on_nodes = gpu_tenants.select("run", "window", *_SHOWN[:3], trusted=is_trusted.cast(pl.UInt32))
    shown = pl.concat([on_nodes, _nowhere(present, gpus)]).group_by("run", "window").agg(pl.col(_SHOWN).sum())
    return _sums(_judged(present.join(shown, on=["run", "window"], how="left", validate="1:1")))


def _nowhere(present: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """List the GPUs of the jobs of runs whose nodes are not known: they are all taken to be the run's."""
    utilization = pl.col("utilization")
    return (
        present.filter(pl.col("nodes_count") == 0)
        .join(gpus.filter(utilization.is_not_null()), on=["window", "job_id"])
        .select(
            "run", "window", shown=pl.lit(1, dtype=pl.UInt32), used=utilization,
            busy=(utilization > 0).cast(pl.UInt32), trusted=pl.lit(0, dtype=pl.UInt32),
        )
    )  # fmt: skip


def _judged(present: pl.DataFrame) -> pl.DataFrame:
    """Add how many GPUs are judged and how many of them used; null where nothing was observed.

    A leftover series may show a GPU that the run does not hold any more: no more are judged than it holds.
    """
    allocated, share = pl.col("allocated_gpus"), pl.col("trusted") / pl.col("nodes_count")
    expected = pl.when(pl.col("nodes_count") > 0).then(allocated * share)
    seen = pl.max_horizontal(pl.col("shown").cast(pl.Float64), expected)
    return present.with_columns(seen=pl.when(pl.col("is_whole") & (seen > 0)).then(seen)).with_columns(
        judged=pl.when(pl.col("seen") > allocated).then(allocated).otherwise("seen"),
        used=pl.col("used") / pl.col("seen") * pl.min_horizontal("seen", allocated),
    )


def _sums(judged: pl.DataFrame) -> pl.DataFrame:
    """Add up windows; idle and unseen stretches are those since the last window that ended them."""
    seconds, allocated = pl.col("seconds"), pl.col("allocated_gpus")
    is_seen = pl.col("judged").is_not_null()
    judged = judged.with_columns(
        is_sure=(pl.col("judged") / allocated >= COVERAGE_FLOOR).fill_null(value=False),
        is_busy=(is_seen & (pl.col("busy") > 0)).fill_null(value=False),
        is_all_busy=(is_seen & (pl.col("busy") >= allocated)).fill_null(value=False),
    ).with_columns(
        last_busy=pl.col("window").filter("is_busy").max().over("run").fill_null(-1),
        last_all_busy=pl.col("window").filter("is_all_busy").max().over("run").fill_null(-1),
    )
    since, since_all = pl.col("window") > pl.col("last_busy"), pl.col("window") > pl.col("last_all_busy")
    is_sure = pl.col("is_sure")
    return judged.group_by("run").agg(
        gpu_seconds=(pl.col("judged") * seconds).sum(),
        gpu_used_seconds=(pl.col("used") * seconds).sum(),
        gpu_idle_seconds=seconds.filter(since & is_sure).sum(),
        gpu_partly_idle_seconds=seconds.filter(since_all & is_sure).sum(),
        gpu_unseen_seconds=seconds.filter(since & ~is_sure).sum(),
        gpu_partly_unseen_seconds=seconds.filter(since_all & ~is_sure).sum(),
        was_busy=pl.col("is_busy").any(),
        was_all_busy=pl.col("is_all_busy").any(),
    )
