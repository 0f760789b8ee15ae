"""Which runs may have been on nodes in the next windows?"""

from typing import Final

import polars as pl

from aggregator.ledger.frames import ALLOCATED_GPUS, RUNS
from aggregator.model.job_inputs import Runs

_SAME: Final = (
    "run_id", "job_id", "user", "account", "state", "suspended_since", "nodes", "granted_cpus",
    "granted_memory_bytes", "granted_gpus_by_type",
)  # fmt: skip


def runs_of(jobs: pl.DataFrame, ended: Runs) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the runs of a snapshot (`jobs`) and those that have ended since: the frames RUNS and ALLOCATED_GPUS.

    A run may be in both: that it has ended is the newer fact.
    """
    newer = ended.runs.unique("run_id", keep="last", maintain_order=True)
    times = {"start": "start_timestamp_seconds", "end": "end_timestamp_seconds"}
    known = jobs.select(*_SAME, **times).join(newer, on="run_id", how="anti")
    runs = pl.concat([newer.select(known.columns), known]).with_columns(
        is_suspended=pl.col("state") == "suspended",
        allocated_cpus=pl.col("granted_cpus").cast(pl.Float64),
        allocated_memory_bytes=pl.col("granted_memory_bytes").cast(pl.Float64),
    )
    return RUNS.of(runs), _allocated_gpus(runs)


def _allocated_gpus(runs: pl.DataFrame) -> pl.DataFrame:
    by_type = pl.col("granted_gpus_by_type")
    held = runs.filter(by_type.list.len() > 0).select("run_id", by_type).explode("granted_gpus_by_type")
    return ALLOCATED_GPUS.of(held.unnest("granted_gpus_by_type").with_columns(gpus=pl.col("count").cast(pl.Float64)))
