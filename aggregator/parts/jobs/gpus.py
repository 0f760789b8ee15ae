"""Which GPUs of a run are seen, and how are they used?"""

from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.frame import total
from aggregator.model.job_inputs import GPUS, Use

# gpu_utilization_ratio is the mean over the `gpus_judged`: those with a plausible sample, and those without a series on
# a node whose exporter is up, which count 0. Coverage is judged ÷ granted.
GPU_USE: Final = schema(
    {
        "run_id": pl.UInt64,
        "gpu_coverage_ratio": pl.Float64,
        "gpus_observed": pl.Float64,
        "gpus_busy": pl.Float64,
        "gpus_judged": pl.Float64,
        "gpu_utilization_ratio": pl.Float64,
        "gpu_memory_used_bytes": pl.Float64,
    }
)


def gpu_use(runs: pl.DataFrame, placed: pl.DataFrame, use: Use) -> pl.DataFrame:
    """Compare the GPUs that have series with those that runs hold (RUNS): GPU_USE, for runs that hold any.

    `placed` has a row per run and node. A GPU without a series counts as idle only where the node's exporter is up and
    has shown GPUs; how many GPUs a run has on which node is not in slurmacct: they are taken as spread evenly.
    """
    if use.gpus is None:
        return pl.DataFrame(schema=GPU_USE)
    holders = runs.filter(pl.col("granted_gpus") > 0).select("run_id", "granted_gpus")
    nodes = placed.select("run_id", "job_id", "node").join(holders, on="run_id", how="semi")
    own = _own_gpus(nodes, use.gpus)
    found = holders.join(_per_run(own), on="run_id", how="left").join(_visible(nodes, own, use), on="run_id")
    return found.with_columns(pl.col("observed", "known").fill_null(0)).select("run_id", *_columns())


def _own_gpus(nodes: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """Give the GPUs on each run's own nodes; where those are not known, all of its job id."""
    known = nodes.filter(pl.col("node").is_not_null()).join(gpus, on=["job_id", "node"])
    anywhere = nodes.filter(pl.col("node").is_null()).drop("node").join(gpus, on="job_id")
    return pl.concat([known, anywhere], how="diagonal").select("run_id", *GPUS.names())


def _per_run(own: pl.DataFrame) -> pl.DataFrame:
    return own.group_by("run_id").agg(
        observed=pl.len(),
        known=pl.col("utilization").count(),
        busy=(pl.col("utilization") > 0).sum(),
        used=pl.col("utilization").sum(),
        memory=total("memory_bytes"),
    )


def _visible(nodes: pl.DataFrame, own: pl.DataFrame, use: Use) -> pl.DataFrame:
    """Give the share of each run's nodes whose exporter can be trusted to show its GPUs; 0 where nobody knows."""
    if use.healthy_nodes is None:
        return nodes.group_by("run_id").agg(visible=pl.lit(0.0))
    gpu_nodes = set(use.gpu_nodes or ())
    vouching = [node for node in use.healthy_nodes if node in gpu_nodes]
    vouches = pl.DataFrame({"node": vouching}, schema={"node": pl.String}).with_columns(vouches=True)
    seen = own.select("run_id", "node").unique().with_columns(is_seen=True)
    trusted = pl.col("vouches").is_not_null() | pl.col("is_seen").is_not_null()
    return (
        nodes.join(vouches, on="node", how="left")
        .join(seen, on=["run_id", "node"], how="left")
        .group_by("run_id")
        .agg(visible=trusted.mean())
    )


def _columns() -> list[pl.Expr]:
    """Write the columns of GPU_USE.

    A leftover series may show a GPU that the run does not hold any more: no more are judged than it holds.
    """
    granted, observed = pl.col("granted_gpus"), pl.col("observed")
    shown = pl.col("known") + pl.max_horizontal(0.0, granted * pl.col("visible") - observed)
    judged = pl.min_horizontal(shown, granted.cast(pl.Float64))
    is_seen = (pl.col("visible") > 0) | (observed > 0)
    return [
        (judged / granted).alias("gpu_coverage_ratio"),
        pl.when(is_seen).then(observed.cast(pl.Float64)).alias("gpus_observed"),
        pl.when(judged > 0).then(pl.col("busy").fill_null(0).cast(pl.Float64)).alias("gpus_busy"),
        judged.alias("gpus_judged"),
        pl.when(shown > 0).then(pl.col("used").fill_null(0.0) / shown).alias("gpu_utilization_ratio"),
        pl.col("memory").alias("gpu_memory_used_bytes"),
    ]
