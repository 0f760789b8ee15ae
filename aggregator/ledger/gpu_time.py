"""For how long has a run used its GPUs, and for how long have they been idle?

Windows count that the run filled: at its edges the samples may be another run's. A suspended run could not use its
GPUs, and is not judged.
"""

from typing import Final

import polars as pl

from aggregator.engine.frame import total
from aggregator.model.waste import COVERAGE_FLOOR

_SECONDS, _ALLOCATED, _NODES = pl.col("seconds"), pl.col("run_gpus"), pl.col("nodes_count")
_IS_TRUSTED: Final = pl.col("vouches_gpus").fill_null(value=False) | (pl.col("shown") > 0)


def judged_gpus(gpu_tenants: pl.DataFrame, allocated_gpus: pl.Series) -> pl.DataFrame:
    """Give how many GPUs of each run are judged in each window, and how many of them used; null where none was seen.

    allocated_gpus are those of each run. One without a series counts as idle only where the node's exporter can be
    trusted to show it; how many GPUs the run has on which node is not in slurmacct, so they are taken as spread evenly.
    """
    shown = (
        gpu_tenants.filter((pl.col("boards") > 0) & ~pl.col("is_suspended"))
        .group_by("run", "window")
        .agg(
            pl.col("shown", "used", "busy").sum(),
            pl.first("seconds", "is_whole", "nodes_count"),
            trusted=_IS_TRUSTED.sum(),
        )
    )
    return _judged(shown.hstack([allocated_gpus[shown["run"]].alias("run_gpus")]))


def _judged(shown: pl.DataFrame) -> pl.DataFrame:
    """Add how many GPUs are judged and how many of them used; null where nothing was observed.

    A leftover series may show a GPU that the run does not hold any more: no more are judged than it holds. Where its
    nodes are not known, nobody is trusted.
    """
    expected = pl.when(_NODES > 0).then(_ALLOCATED * (pl.col("trusted") / _NODES))
    seen = pl.max_horizontal(pl.col("shown").cast(pl.Float64), expected)
    return shown.with_columns_seq(seen=pl.when(pl.col("is_whole") & (seen > 0)).then(seen)).with_columns_seq(
        judged=pl.when(pl.col("seen") > _ALLOCATED).then(_ALLOCATED).otherwise("seen"),
        used=pl.col("used") / pl.col("seen") * pl.min_horizontal("seen", _ALLOCATED),
    )


def gpu_time(judged: pl.DataFrame) -> pl.DataFrame:
    """Give the gains of each run with GPUs: `run`, wasted_gpu_seconds, and the gpu_… and was_… columns of RUN_GAINS.

    Idle and unseen stretches are those since the last window that ended them.
    """
    is_seen = pl.col("judged").is_not_null()
    judged = judged.with_columns_seq(
        # So many of the run's GPUs must be judged before any of them is called idle.
        is_sure=(pl.col("judged") / _ALLOCATED >= COVERAGE_FLOOR).fill_null(value=False),
        is_busy=(is_seen & (pl.col("busy") > 0)).fill_null(value=False),
        is_all_busy=(is_seen & (pl.col("busy") >= _ALLOCATED)).fill_null(value=False),
    ).with_columns_seq(
        last_busy=pl.col("window").filter("is_busy").max().over("run").fill_null(-1),
        last_all_busy=pl.col("window").filter("is_all_busy").max().over("run").fill_null(-1),
    )
    since, since_all = pl.col("window") > pl.col("last_busy"), pl.col("window") > pl.col("last_all_busy")
    is_sure = pl.col("is_sure")
    return judged.group_by("run").agg(
        gpu_seconds=(pl.col("judged") * _SECONDS).sum(),
        gpu_used_seconds=(pl.col("used") * _SECONDS).sum(),
        wasted_gpu_seconds=total((pl.col("judged") - pl.col("used")).clip(0.0) * _SECONDS),
        gpu_idle_seconds=_SECONDS.filter(since & is_sure).sum(),
        gpu_partly_idle_seconds=_SECONDS.filter(since_all & is_sure).sum(),
        gpu_unseen_seconds=_SECONDS.filter(since & ~is_sure).sum(),
        gpu_partly_unseen_seconds=_SECONDS.filter(since_all & ~is_sure).sum(),
        was_busy=pl.col("is_busy").any(),
        was_all_busy=pl.col("is_all_busy").any(),
    )
