"""The staff's lists of the largest users and jobs (C11); Lustre is elsewhere."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.catalogue.entry import Entry
from tests.catalogue.user import HELD, REFRESHED

_WHO = {"user": "user", "account": "account"}
_JOB = {"slurmjobid": "slurmjobid"}
# Who holds none has no series at the portal's.
_BY_CPUS, _BY_GPUS = (
    f"clusters/lab/users?user=$USER&min_allocated_{what}=1&sort=-allocated_{what}" for what in ("cpus", "gpus")
)
_JOBS = "clusters/lab/jobs?id=$JOB&sort=-allocated_memory_bytes"
_Values = Mapping[tuple[str, ...], float]


def _of_users(field: str) -> Callable[[Any], _Values]:
    return lambda data: {(row["user"], row["account"]): row[field] for row in data["users"]}


def _of_jobs(field: str) -> Callable[[Any], _Values]:
    return lambda data: {(str(row["job_id"]),): row[field] for row in data["jobs"]}


def _rule(name: str) -> str:
    return f'sum(slurm_job:{name}{{user=~"$USERS", $F}}) by (user, account)'


ENTRIES = (
    Entry(
        id="TP1", portal="topk(100, sum(slurm_job:allocated_core:count_user_account{$F}) by (user, account))",
        path=_BY_CPUS, metric="allocated_cpus", labels=_WHO, read=_of_users("allocated_cpus"),
        picks=HELD,
    ),
    Entry(
        id="TP2", portal=_rule("allocated_core:count_user_account"), path=_BY_CPUS,
        metric="allocated_cpus", labels=_WHO, read=_of_users("allocated_cpus"), note=HELD,
    ),
    Entry(
        id="TP3", portal=_rule("used_core:sum_user_account"), path=_BY_CPUS, metric="used_cpus",
        labels=_WHO, read=_of_users("used_cpus"), tolerance=REFRESHED,
    ),
    Entry(
        id="TP4", portal=_rule("allocated_memory:sum_user_account"), path=_BY_CPUS,
        metric="allocated_memory_bytes", labels=_WHO, read=_of_users("allocated_memory_bytes"), note=HELD,
    ),
    Entry(
        id="TP5", portal=_rule("max_memory:sum_user_account"), path=_BY_CPUS,
        metric="memory_peak_bytes", labels=_WHO, read=_of_users("memory_peak_bytes"),
    ),
    Entry(
        id="TP6", portal="topk(100, sum(slurm_job:allocated_gpu:count_user_account{$F}) by (user, account))",
        path=_BY_GPUS, metric="allocated_gpus", labels=_WHO,
        read=_of_users("allocated_gpus"), picks=HELD,
    ),
    Entry(
        id="TP7", portal=_rule("used_gpu:sum_user_account"), path=_BY_GPUS,
        metric="used_gpus", labels=_WHO, read=_of_users("used_gpus"),
    ),
    Entry(
        id="TP8", portal=_rule("non_idle_gpu:sum_user_account"),
        path=_BY_GPUS, metric="busy_gpus", labels=_WHO,
        read=_of_users("busy_gpus"), note="Nobody is missing whose GPUs are all idle: theirs is 0.",
    ),
    Entry(
        id="TP9", portal='count(slurm_job_core_usage_total{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="allocated_cpus", labels=_JOB, read=_of_jobs("allocated_cpus"), note=HELD,
    ),
    Entry(
        id="TP10",
        portal='sum(rate(slurm_job_core_usage_total{slurmjobid=~"$JOBS", $F}[2m]) / 1000000000) by (slurmjobid)',
        path=_JOBS, metric="used_cpus", labels=_JOB, read=_of_jobs("used_cpus"), tolerance=REFRESHED,
    ),
    Entry(
        id="TP11", portal='sum(slurm_job_memory_limit{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="allocated_memory_bytes", labels=_JOB, read=_of_jobs("allocated_memory_bytes"), note=HELD,
    ),
    Entry(
        id="TP12", portal='sum(slurm_job_memory_max{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="memory_peak_bytes", labels=_JOB, read=_of_jobs("memory_peak_bytes"),
    ),
)  # fmt: skip
