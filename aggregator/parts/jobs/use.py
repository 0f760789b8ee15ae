"""Which samples belong to which run, and what does it use?

Series carry a job id only, and a job id has several runs (requeues) and lives on. A sample belongs to the run that
holds the id at the evaluation time, started before the sample can have been taken, and has the sample's node in its
allocation.
"""

from collections.abc import Iterable
from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.frame import side_by_side, total
from aggregator.model.job_inputs import OF_NODES, Use
from aggregator.parts.jobs.gpus import GPU_USE, gpu_use
from aggregator.parts.jobs.time import HOLDS, IS_OPEN, elapsed

# What is known of a run's use; null is "not known". Coverage is samples seen ÷ expected, 0–1. observed_seconds is how
# long of the run cpu_seconds and the peak tell of: until the newest sample, as a mean over its nodes.
USE: Final = schema(
    {
        "run_id": pl.UInt64,
        "used_cpus": pl.Float64,
        "cpu_seconds": pl.Float64,
        "memory_used_bytes": pl.Float64,
        "memory_peak_bytes": pl.Float64,
        "running_threads": pl.Float64,
        "observed_seconds": pl.Float64,
        "cpu_coverage_ratio": pl.Float64,
        "memory_coverage_ratio": pl.Float64,
        **{name: dtype for name, dtype in GPU_USE.items() if name != "run_id"},
    }
)
_RESIZED = pl.col("job_start").is_not_null()
_OF_RUN = ("run_id", "job_id", "start", "end", "suspended_seconds", "suspended_since", "job_start")


def use_of_runs(runs: pl.DataFrame, use: Use, bases: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """Give what is known of the use of runs (RUNS), in the columns of USE.

    `bases` (BASES) are what the counters of runs that a resize has made showed when these began; without it nothing is
    known of them. `previous` (USE) is what was known last, and is kept of runs that have ended, so that a scrape finds
    the last value.
    """
    ended = runs.select("run_id", "end").filter(~IS_OPEN)
    kept = previous.join(ended, on="run_id", how="semi")
    return pl.concat([_joined(runs, use, bases), kept.select(USE.names())])


def _joined(runs: pl.DataFrame, use: Use, bases: pl.DataFrame) -> pl.DataFrame:
    """Join the runs that hold resources with their samples.

    A run younger than one scrape interval is left out: the newest sample may be of the id's previous run. So is one
    that is younger than a value that is kept of an input that fails.
    """
    settled = HOLDS & (pl.lit(use.since) - pl.col("start") >= use.interval)
    on_nodes = runs.select(*_OF_RUN, "state", "nodes", "granted_nodes", "granted_gpus").filter(settled)
    placed = on_nodes.select(*_OF_RUN, node="nodes").explode("node", empty_as_null=True)
    samples = _own_samples(placed, use).join(bases, on=["run_id", "node"], how="left")
    return (
        on_nodes.join(_previous_ends(runs), on="job_id", how="left")
        .join(_per_run(samples, use), on="run_id", how="left")
        .join(gpu_use(on_nodes, placed, use), on="run_id", how="left")
        .select("run_id", *_columns(use), *(name for name in GPU_USE if name != "run_id"))
    )


def _previous_ends(runs: pl.DataFrame) -> pl.DataFrame:
    """Find when each job id last ended: a slope whose window reaches back beyond it mixes two runs."""
    ended = runs.select("job_id", "end").filter(~IS_OPEN)
    return ended.group_by("job_id").agg(previous_end=pl.col("end").max())


def _own_samples(placed: pl.DataFrame, use: Use) -> pl.DataFrame:
    """Give the samples of each run's own nodes and own time: one row per run and node, a column per input.

    Of a run whose nodes are not known, every node's are its own. Prometheus answers with a sample of up to five minutes
    ago: that may be of the id's previous run.
    """
    known = placed.filter(pl.col("node").is_not_null())
    lost = placed.filter(pl.col("node").is_null()).drop("node")
    anywhere = lost.join(_all_nodes(lost["job_id"], use), on="job_id")
    inputs = side_by_side(use.values, "value")
    own = pl.concat([_with_values(known, inputs), _with_values(anywhere, inputs)], how="diagonal")
    return own.filter(pl.col("sampled_at").fill_null(pl.col("start")) >= pl.col("start"))


def _all_nodes(job_ids: pl.Series, use: Use) -> pl.DataFrame:
    """List the nodes on which an input has a sample of each of these jobs."""
    keys = pl.DataFrame(schema={"job_id": pl.Int64, "node": pl.String})
    is_asked = pl.col("job_id").is_in(job_ids.implode())
    shown = (values.select(keys.columns).filter(is_asked) for values in use.values.values())
    return pl.concat([keys, *shown]).unique()


def _with_values(placed: pl.DataFrame, inputs: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add the columns OF_NODES; null where an input has no sample of the job on the node."""
    for frame in inputs:
        placed = placed.join(frame, on=["job_id", "node"], how="left")
    return placed.with_columns(pl.lit(None, pl.Float64).alias(name) for name in OF_NODES if name not in placed.columns)


def _per_run(samples: pl.DataFrame, use: Use) -> pl.DataFrame:
    """Add up each run's nodes, and count of how many there is a sample.

    The counters of a run that a resize has made go on from before: what counts is what was added since its base. A peak
    that has not grown since may have been before the run.
    """
    is_counted = pl.col("cpu_seconds").is_not_null() | pl.col("memory_peak_bytes").is_not_null()
    at = pl.col("sampled_at").fill_null(use.time)
    before = pl.when(_RESIZED).then(elapsed(pl.col("base_at"))).otherwise(0.0)
    added = pl.col("cpu_seconds") - pl.col("base_cpu_seconds")
    grown = pl.when(pl.col("memory_peak_bytes") > pl.col("base_peak_bytes")).then(pl.col("memory_peak_bytes"))
    own = samples.with_columns(
        observed=pl.when(is_counted).then(elapsed(at) - before),
        has_no_base=is_counted & _RESIZED & pl.col("base_at").is_null(),
        cpu_seconds=pl.when(_RESIZED).then(added).otherwise(pl.col("cpu_seconds")),
        memory_peak_bytes=pl.when(_RESIZED).then(grown).otherwise(pl.col("memory_peak_bytes")),
    )
    values = [name for name in OF_NODES if name != "sampled_at"]
    return own.group_by("run_id").agg(
        *(total(name).alias(name) for name in values),
        *(pl.col(name).count().alias(f"nodes_with_{name}") for name in values),
        pl.col("observed").mean(),
        pl.col("has_no_base").any(),
    )


def _columns(use: Use) -> list[pl.Expr]:
    """Write the columns of USE that are not of GPUs."""
    unlike_before = pl.when(_RESIZED).then(pl.col("start")).otherwise(0.0)
    is_pure = use.since - use.cpu_window >= pl.max_horizontal(pl.col("previous_end").fill_null(0.0), unlike_before)
    has_base = ~pl.col("has_no_base").fill_null(False)
    return [
        pl.when(is_pure).then(pl.col("cpus")).alias("used_cpus"),
        # A cumulative counter that lacks a node would make the whole run look idle: all nodes or nothing.
        pl.when(has_base & (_coverage("cpu_seconds") == 1)).then(pl.col("cpu_seconds")),
        pl.col("memory_bytes").alias("memory_used_bytes"),
        pl.when(has_base & (_coverage("memory_peak_bytes") == 1)).then(pl.col("memory_peak_bytes")),
        pl.col("threads").alias("running_threads"),
        pl.when(has_base).then(pl.col("observed")).alias("observed_seconds"),
        pl.when(is_pure & ("cpus" in use.values)).then(_coverage("cpus")).alias("cpu_coverage_ratio"),
        pl.when("memory_bytes" in use.values).then(_coverage("memory_bytes")).alias("memory_coverage_ratio"),
    ]


def _coverage(name: str) -> pl.Expr:
    expected = pl.max_horizontal(pl.col("nodes").list.len(), pl.col("granted_nodes"), 1)
    return pl.min_horizontal(1.0, pl.col(f"nodes_with_{name}").fill_null(0) / expected)
