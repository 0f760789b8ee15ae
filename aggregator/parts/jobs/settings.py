"""What the configuration says of jobs."""

from dataclasses import dataclass, field
from typing import Final

from aggregator.parts.jobs.efficiency import FairShare

JOB_NAME_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What is a normal share of a node, and to how many bytes the label with a job's name is cut; 0 leaves it out."""

    fair_share: FairShare = field(default_factory=FairShare)
    job_name_bytes: int = JOB_NAME_BYTES
