"""What the configuration says of jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aggregator.parts.jobs.efficiency import FairShare

JOB_NAME_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What is a normal share of a node, and to how many bytes the label with a job's name is cut; 0 leaves it out.

    gpu_units is what a GPU counts, by Slurm's GPU type, "default" for all others; empty where GPUs are only counted.
    """

    fair_share: FairShare = field(default_factory=FairShare)
    job_name_bytes: int = JOB_NAME_BYTES
    gpu_units: Mapping[str, float] = field(default_factory=dict)
