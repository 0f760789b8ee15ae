"""Jobs and configurations for the tests of the state."""

from pathlib import Path
from typing import Any

import polars as pl

from aggregator.app.layouts import CLUSTERS
from aggregator.config import DatabaseUrl, Secret, State
from aggregator.parts.jobs.kept import KEPT

Row = dict[str, Any]
USE: Row = {
    "used_cpus": 3.5, "memory_used_bytes": 2.0**40, "cpu_coverage_ratio": 1.0, "gpu_coverage_ratio": 0.75,
    "gpus_busy": 2.0, "gpus_judged": 3.0, "cpu_efficiency_ratio": 0.875, "wasted_gpus": 1.25,
}  # fmt: skip


def make_job(run_id: int, use: Row = USE, *, end: float = 9.25, **changes: Any) -> Row:
    """Make a run that has ended, and what is known of its use."""
    plain = {
        "job_id": 12, "user": "alice", "account": "def-a", "submit_timestamp_seconds": 1.5,
        "start_timestamp_seconds": None, "end_timestamp_seconds": end,
    }  # fmt: skip
    return {"run_id": run_id, **plain, **use, **changes}


def ended(*jobs: Row) -> pl.DataFrame:
    """Put runs into the frame that is kept."""
    jobs_schema = CLUSTERS.tables["jobs"].schema
    of_run = {name: jobs_schema[name] for name in make_job(1, {})}
    return pl.DataFrame(jobs, schema={**of_run, **KEPT})


def known(kept: pl.DataFrame) -> dict[int, Row]:
    """Give what is known of runs, by run id."""
    rows = ({name: value for name, value in row.items() if value is not None} for row in kept.to_dicts())
    return {row.pop("run_id"): row for row in rows}


def sqlite(file: Path) -> State:
    return server(f"sqlite:///{file}")


def server(url: str, password: str | None = None) -> State:
    """Configure any URL, those too that the configuration file's reader refuses."""
    return State.model_construct(url=DatabaseUrl(url), password=None if password is None else Secret(password))
