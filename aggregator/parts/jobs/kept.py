"""What is kept of a run that has ended: its last use, how efficient it was, and what it wasted."""

from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.frame import add_columns
from aggregator.parts.jobs.efficiency import EFFICIENCY
from aggregator.parts.jobs.use import USE

# The ledger tells the last two.
_EFFICIENCY: Final = (
    "allocated_gpu_units", *(column.name for column in EFFICIENCY), "wasted_gpu_seconds", "wasted_gpu_unit_seconds",
)  # fmt: skip
KEPT: Final = schema({**USE, **dict.fromkeys(_EFFICIENCY, pl.Float64)})
_OF_RUN: Final = (
    "job_id", "user", "account", "submit_timestamp_seconds", "start_timestamp_seconds", "end_timestamp_seconds",
)  # fmt: skip


def to_keep(jobs: pl.DataFrame) -> pl.DataFrame:
    """Choose of `jobs` the ended runs to keep: KEPT, and whose and when they were.

    A run of which no use is known is left out: it would erase what another replica, or this one before its restart, has
    seen.
    """
    is_known = pl.any_horizontal(pl.col(name).is_not_null() for name in USE if name != "run_id")
    return jobs.filter(~pl.col("is_open") & is_known).select(*_OF_RUN, *KEPT)


def with_kept(jobs: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Give runs that are not in the snapshot (JOBS) the efficiency that was kept of them (KEPT), as it was then.

    Of one of which nothing was kept, what needs no use is known once it has ended.
    """
    known = kept.select("run_id", *(pl.col(name).alias(f"kept_{name}") for name in _EFFICIENCY), is_kept=True)
    efficient = [
        pl.when("is_kept").then(f"kept_{name}").when(~pl.col("is_open")).then(name).alias(name) for name in _EFFICIENCY
    ]
    return add_columns(jobs, known, on="run_id").with_columns(efficient).select(jobs.columns)
