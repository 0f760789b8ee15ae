"""What the ledger works on beside what Prometheus holds, and how frames are added up."""

from typing import Final

import polars as pl

from aggregator.model.ledger import ACCOUNT, RUN_ID, USER
from aggregator.model.readings import JOB_ID, Column, Frame

_F: Final = pl.Float64
_MANY_ROWS: Final = 50_000

RUNS: Final = Frame("runs", 1, (
    RUN_ID, JOB_ID, USER, ACCOUNT,
    Column("start", _F, "when it started", "epoch seconds", "it has not started"),
    Column("end", _F, "when it ended", "epoch seconds", "it has not ended"),
    Column("is_suspended", pl.Boolean, "its state is suspended: it keeps memory and GPUs, and no CPUs"),
    Column("suspended_since", _F, "since when", "epoch seconds", "not suspended, or for as long as is known"),
    Column("allocated_cpus", _F, "CPUs that Slurm gave it", "CPUs"),
    Column("allocated_memory_bytes", _F, "memory that Slurm gave it", "bytes", "Slurm does not manage memory"),
    Column("nodes", pl.List(pl.String), "its nodes, each once"),
))  # fmt: skip
ALLOCATED_GPUS: Final = Frame("allocated_gpus", 2, (
    RUN_ID,
    Column("gpu_type", pl.String, 'Slurm\'s type of the GPUs, "" for those without'),
    Column("gpus", _F, "GPUs of this type that Slurm gave the run, a slice counts as one", "GPUs"),
))  # fmt: skip


def sum_by(key: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Add up all other columns by a key, as engine.frame.total does; for many groups that is faster."""
    names = [name for name in frame.columns if name != key]
    gaps = [name for name in names if frame[name].null_count()]
    known = [pl.col(name).count().alias(f"{name} known") for name in gaps]
    # For many rows polars' streaming engine needs half of the time of the other one, for few several times of it.
    sums = (
        frame.lazy()
        .group_by(key)
        .agg(pl.col(names).sum(), *known)
        .collect(engine="streaming" if len(frame) > _MANY_ROWS else "in-memory")
    )
    masked = [pl.when(pl.col(f"{name} known") > 0).then(name).alias(name) for name in gaps]
    return sums.with_columns_seq(masked)[[key, *names]]


def column_of(default: float | None, count: int, rows: pl.Series, values: pl.Series) -> pl.Series:
    """Make a column of `count` rows with these values in these rows, and the default in the others."""
    return pl.Series(values.name, [default], dtype=values.dtype).new_from_index(0, count).scatter(rows, values)


def rows_by_number(numbers: pl.Series, count: int, of_what: str) -> pl.Series:
    """Give for each number below `count` the row that has it, null where none has: a join by a gather.

    Raises ValueError where two rows have one number.
    """
    rows = pl.int_range(len(numbers), dtype=pl.UInt32, eager=True)
    found = column_of(None, count, numbers, rows)
    if count - found.null_count() != len(numbers):
        raise ValueError(f"{of_what}: two rows of one key")
    return found


def by_number(key: str, frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """Give the other columns of the row of each number below `count`, null where none has it."""
    others = [name for name in frame.columns if name != key]
    return frame[others][rows_by_number(frame[key], count, key)]


def known_add(before: pl.Expr, more: pl.Expr) -> pl.Expr:
    """Add two values row by row: null where neither is known, the known one where the other is not."""
    return pl.coalesce(before + more, before, more)
