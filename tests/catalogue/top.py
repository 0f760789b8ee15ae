"""The staff's lists of the largest users and jobs (C11); Lustre is elsewhere."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.catalogue.entry import Entry
from tests.catalogue.user import HELD, REFRESHED

_WHO = {"user": "user", "account": "account"}
_JOB = {"slurmjobid": "slurmjobid"}
_TOP = "clusters/lab/top?user=$USER"
_JOBS = "clusters/lab/top?by=memory&group=job&id=$JOB"
_Values = Mapping[tuple[str, ...], float]


def _of_users(value: Callable[[Any], float]) -> Callable[[Any], _Values]:
    return lambda data: {(row["user"], row["account"]): value(row) for row in data["top"]}


def _of_jobs(value: Callable[[Any], float]) -> Callable[[Any], _Values]:
    return lambda data: {(str(row["job_id"]),): value(row) for row in data["top"]}


def _rule(name: str) -> str:
    return f'sum(slurm_job:{name}{{user=~"$USERS", $F}}) by (user, account)'


ENTRIES = (
    Entry(
        id="TP1", portal="topk(100, sum(slurm_job:allocated_core:count_user_account{$F}) by (user, account))",
        path=f"{_TOP}&by=cpus", metric="value", labels=_WHO, read=_of_users(lambda row: row["value"]), picks=HELD,
    ),
    Entry(
        id="TP2", portal=_rule("allocated_core:count_user_account"), path=f"{_TOP}&by=cpus", metric="value",
        labels=_WHO, read=_of_users(lambda row: row["value"]), note=HELD,
    ),
    Entry(
        id="TP3", portal=_rule("used_core:sum_user_account"), path=f"{_TOP}&by=cpus", metric="used.cpus",
        labels=_WHO, read=_of_users(lambda row: row["used"]["cpus"]["value"]), tolerance=REFRESHED,
    ),
    Entry(
        id="TP4", portal=_rule("allocated_memory:sum_user_account"), path=f"{_TOP}&by=cpus",
        metric="allocated.memory_bytes", labels=_WHO,
        read=_of_users(lambda row: row["allocated"]["memory_bytes"]), note=HELD,
    ),
    Entry(
        id="TP5", portal=_rule("max_memory:sum_user_account"), path=f"{_TOP}&by=cpus", metric="used.memory_peak",
        labels=_WHO, read=_of_users(lambda row: row["used"]["memory_peak"]["value"]),
    ),
    Entry(
        id="TP6", portal="topk(100, sum(slurm_job:allocated_gpu:count_user_account{$F}) by (user, account))",
        path=f"{_TOP}&by=gpus", metric="value", labels=_WHO, read=_of_users(lambda row: row["value"]), picks=HELD,
    ),
    Entry(
        id="TP7", portal=_rule("used_gpu:sum_user_account"), path=f"{_TOP}&by=gpus", metric="used.gpus",
        labels=_WHO, read=_of_users(lambda row: row["used"]["gpus"]["value"]),
    ),
    Entry(
        id="TP8", portal=_rule("non_idle_gpu:sum_user_account"), path=f"{_TOP}&by=gpus", metric="used.busy_gpus",
        labels=_WHO, read=_of_users(lambda row: row["used"]["busy_gpus"]["value"]),
        note="Nobody is missing whose GPUs are all idle: theirs is 0.",
    ),
    Entry(
        id="TP9", portal='count(slurm_job_core_usage_total{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="allocated.cpus", labels=_JOB, read=_of_jobs(lambda row: row["allocated"]["cpus"]), note=HELD,
    ),
    Entry(
        id="TP10",
        portal='sum(rate(slurm_job_core_usage_total{slurmjobid=~"$JOBS", $F}[2m]) / 1000000000) by (slurmjobid)',
        path=_JOBS, metric="use.cpus", labels=_JOB, read=_of_jobs(lambda row: row["use"]["cpus"]["value"]),
        tolerance=REFRESHED,
    ),
    Entry(
        id="TP11", portal='sum(slurm_job_memory_limit{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="allocated.memory_bytes", labels=_JOB, read=_of_jobs(lambda row: row["allocated"]["memory_bytes"]),
        note=HELD,
    ),
    Entry(
        id="TP12", portal='sum(slurm_job_memory_max{slurmjobid=~"$JOBS", $F}) by (slurmjobid)', path=_JOBS,
        metric="use.memory_peak", labels=_JOB, read=_of_jobs(lambda row: row["use"]["memory_peak"]["value"]),
    ),
)  # fmt: skip
