"""What do the jobs of users and accounts add up to?"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.parts.owners.sums import count_findings, count_gpus, count_states, sum_jobs

_GROUPS: Final = {"user": ("user", "account"), "account": ("account",)}


def join_owners(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Add up the jobs: a user's jobs under two accounts are two sums, an account's are its own, no child's."""
    made: dict[str, pl.DataFrame] = {}
    for of, by in _GROUPS.items():
        made |= {f"{of}{name}": frame for name, frame in _sums(frames, by).items()}
    return made


def _sums(frames: Frames, by: Sequence[str]) -> Frames:
    jobs = frames["jobs"]
    return {
        "s": sum_jobs(jobs, by).sort(by),
        "_states": count_states(jobs, by).sort(*by, "state"),
        "_gpus": count_gpus(jobs, frames["job_gpus"].select("run_id", "gpu_type", "count"), by).sort(*by, "gpu_type"),
        "_findings": count_findings(jobs, frames["waste"], by).sort(*by, "reason", "severity"),
    }
