"""Waste: how much, why, by whom, in which jobs."""

from typing import Final

from boards.frame import CLUSTERS, Board, Row
from boards.promql import CLUSTERS as C
from boards.promql import NAMED, added, hours, largest, now, total, wasted_hours, with_words
from boards.style import WASTED, Column, Line, Rows, graph, listed, single

_MUCH: Final = Row(
    "How much in the time shown",
    [
        single(
            "GPU-hours wasted",
            "GPUs allocated and not utilised × time, as far as it was observed, in closed windows.",
            total(wasted_hours("cluster", "gpu", C)),
            span=6,
        ),
        single(
            "Part of the GPU time that is wasted",
            "Of all allocated GPU time. What was not observed is not wasted.",
            f"({hours(total(now('user_wasted_gpus', C)))}) / ({hours(total(now('user_allocated_gpus', C)))})",
            "percentunit",
            limits=(0.2, 0.4),
            span=6,
        ),
        single(
            "CPU-hours wasted",
            "CPUs allocated and not busy × time, as far as it was observed, in closed windows.",
            total(wasted_hours("cluster", "cpu", C)),
            span=6,
        ),
        single(
            "Part of the CPU time that is wasted",
            "Of all allocated CPU time. What was not observed is not wasted.",
            f"({hours(total(now('user_wasted_cpus', C)))}) / ({hours(total(now('user_allocated_cpus', C)))})",
            "percentunit",
            limits=(0.3, 0.5),
            span=6,
        ),
    ],
)

_WHY: Final = Row(
    "Why",
    [
        graph(
            "Running jobs by finding",
            "A job may have several. A job that is not judged has none.",
            Line("{{reason}}", total(now("user_waste_jobs:by_reason", C), "reason")),
        ),
        graph(
            "Findings by severity",
            "Each rule that holds for a running job, at the worst severity that is sure.",
            Line("critical", total(now("user_waste_jobs", C, severity="critical")), WASTED),
            Line("warning", total(now("user_waste_jobs", C, severity="warning")), "orange"),
            stacked=True,
        ),
        listed(
            "What the findings mean",
            "The words of the rules, and how many running jobs they hold for.",
            Rows(
                ("reason", "severity", "message", "fix"),
                [Column("Jobs", with_words(total(now("user_waste_jobs", C), "reason", "severity"), C))],
            ),
        ),
    ],
)

_USER: Final = ("cluster", "user")
_ACCOUNT: Final = ("cluster", "account")
_WHO: Final = Row(
    "Who",
    [
        listed(
            "Users by GPU-hours wasted in the time shown",
            "Over all their accounts. An empty cell is not known, or the user holds none.",
            Rows(
                _USER,
                [
                    Column("GPU-hours", largest(25, wasted_hours("user", "gpu", C, NAMED["user"]), *_USER)),
                    Column("GPUs now", total(now("user_wasted_gpus", C), *_USER)),
                    Column("Jobs with findings", total(now("user_waste_jobs", C), *_USER)),
                ],
            ),
            span=12,
        ),
        listed(
            "Users by CPU-hours wasted in the time shown",
            "Over all their accounts. An empty cell is not known, or the user holds none.",
            Rows(
                _USER,
                [
                    Column("CPU-hours", largest(25, wasted_hours("user", "cpu", C, NAMED["user"]), *_USER)),
                    Column("CPUs now", total(now("user_wasted_cpus", C), *_USER)),
                    Column("Memory now", total(now("user_wasted_memory_bytes", C), *_USER), "bytes"),
                ],
            ),
            span=12,
        ),
        listed(
            "Accounts by GPU-hours wasted in the time shown",
            "Each account without those below it. Energy, and its cost, are those of CPUs and GPUs not used.",
            Rows(
                _ACCOUNT,
                [
                    Column("GPU-hours", largest(25, wasted_hours("account", "gpu", C, NAMED["account"]), *_ACCOUNT)),
                    Column("CPU-hours", total(wasted_hours("account", "cpu", C), *_ACCOUNT)),
                    Column(
                        "Energy",
                        f"{total(added('account_wasted_energy_joules_total', C), *_ACCOUNT)} / 3.6e6",
                        "kwatth",
                    ),
                    Column(
                        "Cost of electricity",
                        total(added("account_wasted_cost_total", C, component="electricity"), *_ACCOUNT),
                    ),
                    Column("GPUs now", total(now("account_wasted_gpus", C), *_ACCOUNT)),
                    Column("CPUs now", total(now("account_wasted_cpus", C), *_ACCOUNT)),
                    Column("Memory now", total(now("account_wasted_memory_bytes", C), *_ACCOUNT), "bytes"),
                ],
            ),
        ),
    ],
)

_JOB: Final = ("cluster", "slurmjobid", "user", "account", "partition", "job_name")


def _named(amount: str) -> str:
    """Give the jobs with most of an amount, with name and partition."""
    jobs = f"topk(25, max by (cluster, slurmjobid, user, account) ({now(amount, C, NAMED['slurmjobid'])}) > 0)"
    # Replicas may show a job in two states for half a minute.
    names = f"topk by (cluster, slurmjobid) (1, {now('job_info', C)})"
    return f"{jobs} * on (cluster, slurmjobid) group_left (partition, job_name) {names}"


_JOBS: Final = Row(
    "Jobs now",
    [
        listed(
            "By GPUs",
            "GPUs allocated and not utilised now. Jobs whose GPUs are not observed are not here.",
            Rows(_JOB, [Column("GPUs wasted", _named("job_wasted_gpus"))]),
        ),
        listed(
            "By CPUs",
            "CPUs allocated and not busy now. Jobs whose use is not observed are not here.",
            Rows(_JOB, [Column("CPUs wasted", _named("job_wasted_cpus"))]),
        ),
        listed(
            "By memory",
            "Memory held above both the fair share and the peak.",
            Rows(_JOB, [Column("Memory wasted", _named("job_wasted_memory_bytes"), "bytes")]),
        ),
    ],
)

_INSTANCE: Final = ("cloud", "project", "instance_name", "uuid")
_CLOUDS: Final = Row(
    "Clouds",
    [
        listed(
            "Instances that idle",
            "By the cloud's rule. An instance that is not judged is not here.",
            Rows(
                _INSTANCE,
                [
                    Column(
                        "vCPUs",
                        f"{total(now('instance_vcpus'), *_INSTANCE)}"
                        f" and on ({', '.join(_INSTANCE)}) {now('instance_idle')} == 1",
                    ),
                    Column("Memory", total(now("instance_memory_bytes"), *_INSTANCE), "bytes"),
                ],
            ),
        ),
    ],
)

BOARD: Final = Board(
    "waste",
    "HPC: waste",
    "How much is wasted, why, by whom and in which jobs.",
    [CLUSTERS],
    [_MUCH, _WHY, _WHO, _JOBS, _CLOUDS],
    since="now-24h",
)
