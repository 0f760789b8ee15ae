"""For how long has a run used its GPUs, and for how long have they been idle?

Windows count that the run filled: at its edges the samples may be another run's. A suspended run could not use its
GPUs, and is not judged.
"""

from typing import Final

import polars as pl

from aggregator.join.efficiency import COVERAGE_FLOOR

_IN_WINDOW: Final = ["run", "window"]


def gpu_time(runs: pl.DataFrame, present: pl.DataFrame, tenants: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """Give the gains of each run with GPUs: its row in `runs` and the gpu_… columns of RUN_GAINS.

    An allocated GPU without a series counts as idle only where the node's exporter can be trusted to show it; how many
    GPUs the run has on which node is not in slurmacct, so they are taken as spread evenly.
    """
    holders = runs.filter((pl.col("allocated_gpus") > 0) & ~pl.col("is_suspended")).select(
        "run", "job_id", "nodes", "nodes_count", "allocated_gpus"
    )
    windows = present.select("run", "window", "seconds", "is_whole").join(holders, on="run", validate="m:1")
    own = _own(windows, gpus)
    return _sums(_judged(windows, own, _visible(tenants, own)))


def _own(windows: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """List the GPUs with a utilisation that are on a run's nodes; all of the job's, where its nodes are not known."""
    is_own = (pl.col("nodes_count") == 0) | pl.col("nodes").list.contains(pl.col("node"))
    shown = gpus.filter(pl.col("utilization").is_not_null())
    return windows.join(shown, on=["window", "job_id"]).filter(is_own).select("run", "window", "node", "utilization")


def _visible(tenants: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Count the run's nodes whose exporters can be trusted to show its GPUs, or do show one."""
    shown = own.select("run", "window", "node", shown=pl.lit(value=True)).unique()
    on_nodes = tenants.filter(pl.col("allocated_gpus") > 0).select("run", "window", "node", "vouches_gpus")
    trusted = (pl.col("vouches_gpus") | pl.col("shown")).fill_null(value=False)
    return (
        on_nodes.join(shown, on=["run", "window", "node"], how="left", validate="m:1")
        .group_by(_IN_WINDOW)
        .agg(trusted_nodes=trusted.sum())
    )


def _judged(windows: pl.DataFrame, own: pl.DataFrame, visible: pl.DataFrame) -> pl.DataFrame:
    """Add how many GPUs are judged, used and busy in each window; null where nothing was observed.

    A leftover series may show a GPU that the run does not hold any more: no more are judged than it holds.
    """
    utilization, allocated = pl.col("utilization"), pl.col("allocated_gpus")
    by_run = own.group_by(_IN_WINDOW).agg(
        pl.len().cast(pl.Float64).alias("own"), used=utilization.sum(), busy=(utilization > 0).sum()
    )
    share = pl.when(pl.col("nodes_count") > 0).then(pl.col("trusted_nodes") / pl.col("nodes_count")).fill_null(0.0)
    shown = pl.max_horizontal("own", allocated * share)
    return (
        windows.join(by_run, on=_IN_WINDOW, how="left", validate="1:1")
        .join(visible, on=_IN_WINDOW, how="left", validate="1:1")
        .with_columns(pl.col("own", "used", "busy").fill_null(0))
        .with_columns(shown=pl.when(pl.col("is_whole") & (shown > 0)).then(shown))
        .with_columns(judged=pl.min_horizontal(pl.col("shown"), pl.when(pl.col("shown").is_not_null()).then(allocated)))
        .with_columns(used=pl.col("used") / pl.col("shown") * pl.col("judged"))
    )


def _sums(judged: pl.DataFrame) -> pl.DataFrame:
    """Add up windows; idle and unseen stretches are those since the last window that ended them."""
    seconds, is_seen = pl.col("seconds"), pl.col("judged").is_not_null()
    is_trusted = is_seen & (pl.col("judged") / pl.col("allocated_gpus") >= COVERAGE_FLOOR)
    judged = judged.with_columns(
        is_trusted=is_trusted.fill_null(value=False),
        is_busy=(is_seen & (pl.col("busy") > 0)),
        is_all_busy=(is_seen & (pl.col("busy") >= pl.col("allocated_gpus"))),
    ).with_columns(
        last_busy=pl.col("window").filter("is_busy").max().over("run").fill_null(-1),
        last_all_busy=pl.col("window").filter("is_all_busy").max().over("run").fill_null(-1),
    )
    since, since_all = pl.col("window") > pl.col("last_busy"), pl.col("window") > pl.col("last_all_busy")
    trusted = pl.col("is_trusted")
    return judged.group_by("run").agg(
        gpu_seconds=(pl.col("judged") * seconds).sum(),
        gpu_used_seconds=(pl.col("used") * seconds).sum(),
        gpu_idle_seconds=seconds.filter(since & trusted).sum(),
        gpu_partly_idle_seconds=seconds.filter(since_all & trusted).sum(),
        gpu_unseen_seconds=seconds.filter(since & ~trusted).sum(),
        gpu_partly_unseen_seconds=seconds.filter(since_all & ~trusted).sum(),
        was_busy=pl.col("is_busy").any(),
        was_all_busy=pl.col("is_all_busy").any(),
    )
