"""Which jobs of a node does slurm-job-exporter not show, and why?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import add_columns, side_by_side
from aggregator.model.job_inputs import SETTLE_INTERVALS, Use

# A node that shows none of several jobs of that age is not one where nobody happens to have a process.
BLIND_SECONDS: Final = 300.0
BLIND_JOBS: Final = 2
# A job is seen that has any of these.
_SEEN_BY: Final = ("memory_bytes", "cpus", "cpu_seconds", "threads")


def can_tell(use: Use | None) -> bool:
    """Tell whether the use of jobs could be read: an input that is missing does not show that anything else is."""
    return use is not None and "memory_bytes" in use.values


def with_observed(tenants: pl.DataFrame, use: Use | None) -> pl.DataFrame:
    """Add to runs on nodes (job_id, node, elapsed: seconds by the time of `use`) whether they are observed.

    Adds is_seen and is_missed of each run, and observed of its job there: one that has just started need not be seen
    yet. All three are null where nobody can tell.
    """
    unknown = pl.lit(None, dtype=pl.Boolean)
    if use is None or not can_tell(use):
        return tenants.with_columns(is_seen=unknown, is_missed=unknown, observed=unknown)
    frames = side_by_side({name: use.values[name] for name in _SEEN_BY if name in use.values}, "value")
    seen = pl.concat(frame.select("job_id", "node") for frame in frames).unique().with_columns(is_seen=True)
    found = add_columns(tenants, seen, on=["job_id", "node"]).with_columns(pl.col("is_seen").fill_null(value=False))
    is_settled = pl.col("elapsed") >= SETTLE_INTERVALS * use.interval
    missed = found.with_columns(is_missed=is_settled & ~pl.col("is_seen"))
    return missed.with_columns(observed=~pl.col("is_missed").any().over("node", "job_id"))


def missed_by_node(tenants: pl.DataFrame) -> pl.DataFrame:
    """Count for each node the jobs that are missed, and those of them that ought to be seen; any_seen: others are."""
    missed = pl.col("job_id").filter(pl.col("is_missed"))
    is_old = pl.col("elapsed") >= BLIND_SECONDS
    return tenants.group_by("node").agg(
        unobserved_jobs=missed.n_unique(),
        old_missed=pl.col("job_id").filter(pl.col("is_missed") & is_old).n_unique(),
        any_seen=pl.col("is_seen").any(),
    )


def with_cause(nodes: pl.DataFrame, use: Use | None) -> pl.DataFrame:
    """Add to nodes with the columns of `missed_by_node`: unobserved_jobs, cause, exporter_up and exporter_blind."""
    if use is None or not can_tell(use):
        unknown = dict.fromkeys(("exporter_up", "exporter_blind"), pl.lit(None, dtype=pl.Boolean))
        return nodes.with_columns(unobserved_jobs=None, cause=None, **unknown)
    is_up = pl.col("node").is_in(list(use.healthy_nodes)) if use.healthy_nodes else pl.lit(None, dtype=pl.Boolean)
    is_blind = ~pl.col("any_seen") & (pl.col("old_missed") >= BLIND_JOBS)
    cause = (
        pl.when(pl.col("exporter_up").is_null()).then(pl.lit("unknown"))
        .when(~pl.col("exporter_up")).then(pl.lit("exporter_down"))
        .when(is_blind).then(pl.lit("exporter_blind"))
        .otherwise(pl.lit("no_process"))
    )  # fmt: skip
    known = nodes.with_columns(exporter_up=is_up, unobserved_jobs=pl.col("unobserved_jobs").fill_null(0))
    judged = known.with_columns(cause=pl.when(pl.col("unobserved_jobs") > 0).then(cause))
    is_called_blind = pl.col("cause").eq_missing(pl.lit("exporter_blind"))
    return judged.with_columns(exporter_blind=pl.when("exporter_up").then(is_called_blind))
