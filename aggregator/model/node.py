"""The kinds of nodes, and why a job on one is not seen."""

from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["compute", "login", "transfer"]
# Why jobs on a node have no series from slurm-job-exporter.
Cause = Literal["exporter_down", "exporter_blind", "no_process", "unknown"]

EXPLANATIONS: Final[Mapping[Cause, str]] = {
    "exporter_down": "slurm-job-exporter of the node cannot be scraped, or is not scraped at all.",
    "exporter_blind": (
        "slurm-job-exporter is up and shows none of the jobs that have been on the node for minutes: Slurm 26.05 names "
        "cgroups by SLUID (CgroupJobIdPaths=yes restores them), or slurmd is a multiple-slurmd build."
    ),
    "no_process": "slurm-job-exporter is up and shows other jobs: these hold the node without any process on it.",
    "unknown": (
        "No node of the cluster shows any job, so it is not known which targets are slurm-job-exporters: all are down, "
        "or all are blind (Slurm 26.05 needs CgroupJobIdPaths=yes), or no job has a process."
    ),
}
