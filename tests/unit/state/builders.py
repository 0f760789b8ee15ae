"""Jobs and configurations for the tests of the state."""

from pathlib import Path
from typing import Any

from aggregator.config import DatabaseUrl, Secret, State
from aggregator.model.accounting import JobState, Run
from aggregator.model.view import Efficiency, GpuUse, Job, JobUse

USE = JobUse(cpus=3.5, memory_bytes=2.0**40, cpu_coverage=1.0, gpu=GpuUse(coverage=0.75, busy=2, judged=3.0))
EFFICIENCY = Efficiency(cpu=0.875, wasted_gpus=1.25)


def make_job(run_id: int, use: JobUse = USE, efficiency: Efficiency = EFFICIENCY, **changes: Any) -> Job:
    run = {"job_id": 12, "user": "alice", "account": "def-a", "state": JobState.COMPLETED, "submit": 1.5, "end": 9.25}
    return Job(Run(cluster="narval", run_id=run_id, **{**run, **changes}), use, efficiency)


def sqlite(file: Path) -> State:
    return server(f"sqlite:///{file}")


def server(url: str, password: str | None = None) -> State:
    """Configure any URL, those too that the configuration file's reader refuses."""
    return State.model_construct(url=DatabaseUrl(url), password=None if password is None else Secret(password))
