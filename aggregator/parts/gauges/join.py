"""Whose are the gauges that exporters show of jobs?"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from aggregator.engine.frame import Frames, add_columns, total
from aggregator.engine.part import Inputs
from aggregator.model.job_gauges import JobGauges, NodesOfJobs, OverNodes
from aggregator.parts.jobs.declare import coverage_of

_TOGETHER: Final[Mapping[OverNodes, pl.Expr]] = {
    "sum": total("value"), "max": pl.col("value").max(), "mean": pl.col("value").mean(),
}  # fmt: skip


def join_gauges(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Give the runs that hold their nodes what is shown of them there; null where nothing is."""
    gauges = inputs.get(JobGauges)
    if gauges is None:
        return {}
    jobs = frames["jobs"]
    placed = _placed(jobs)
    for name, found in gauges.values.items():
        jobs = add_columns(jobs.drop(name, coverage_of(name)), _of_runs(placed, name, found), on="run_id")
    return {"jobs": jobs}


def _placed(jobs: pl.DataFrame) -> pl.DataFrame:
    """Put each node of each run that holds its nodes into a row; of how many they are, Slurm's count has the say."""
    holds = pl.col("is_open") & pl.col("state").is_in(["running", "suspended"])
    expected = pl.max_horizontal(pl.col("nodes").list.len(), pl.col("granted_nodes"), 1)
    start = pl.col("start_timestamp_seconds").alias("start")
    return jobs.filter(holds).select("run_id", "job_id", start, node="nodes", expected=expected).explode("node")


def _of_runs(placed: pl.DataFrame, name: str, found: NodesOfJobs) -> pl.DataFrame:
    """Give a gauge of each run that shows it. A run that began after the oldest sample may see its id's last owner."""
    own = placed.filter(pl.col("start") <= found.since).join(found.frame, on=["job_id", "node"])
    together = _TOGETHER[found.over_nodes]
    share = pl.min_horizontal(1.0, pl.len() / pl.col("expected").first())
    return own.group_by("run_id").agg(together.alias(name), share.alias(coverage_of(name)))
