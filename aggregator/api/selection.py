"""Which runs somebody means: expressions over the columns of `jobs`."""

from collections.abc import Iterable

import polars as pl

from aggregator.model.jobid import JobId


def in_partitions(names: Iterable[str]) -> pl.Expr:
    """Tell which runs are in one of these partitions: a pending one may name several, and waits in each of them."""
    asked_for = pl.col("partition").str.split(",")
    return pl.any_horizontal(asked_for.list.contains(name) for name in names)


def on_nodes(names: Iterable[str]) -> pl.Expr:
    """Tell which runs have one of these nodes."""
    return pl.any_horizontal(pl.col("nodes").list.contains(name) for name in names)


def means(asked: JobId) -> pl.Expr:
    """Tell which runs somebody means who writes this id (an array's id means all its tasks)."""
    job_id, array, component = asked.job_id, pl.col("array_job_id"), pl.col("het_job_id")
    if asked.array_task is not None:
        return (array == job_id) & (pl.col("array_task_id") == asked.array_task)
    if asked.het_offset is not None:
        return (component == job_id) & (pl.col("het_offset") == asked.het_offset)
    return (pl.col("job_id") == job_id) | (array == job_id) | (component == job_id)
