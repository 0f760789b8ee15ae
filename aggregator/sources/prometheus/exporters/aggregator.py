"""Graphs of users, accounts and clusters: what this service itself has shown, by way of the Prometheus that scrapes it.

What is allocated is what slurmacct says, never a count of series: those are missing for a job without a process, for a
node whose exporter is down, and, on old cgroup v2 exporters, for every job. For the time before this service was
there the rules of the group slurm_job answer (rules/recording/slurm_job.yml), and for a user or account the series of
slurm-job-exporter where there are no rules either; those do count series. Where this service was there and shows no
use it was not known: nobody else is asked then, for the rules' rates fall while exporters are away. Replicas of this
service, and of Prometheus, show the same: the largest is taken before anything is added up.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aggregator.sources.prometheus.exporter import Exporter
from aggregator.sources.prometheus.exporters.slurm_job_exporter import (
    APPLICATIONS,
    BASENAME,
    BOARDS,
    LARGEST_BYTES,
    SCRAPES,
    busy_programs,
    core_slopes,
)
from aggregator.sources.prometheus.expression import (
    CLUSTER,
    JOB,
    LABELS,
    OUR_CLUSTER,
    OURS,
    Expression,
    Graph,
    Metric,
)
from aggregator.sources.prometheus.promql import extracted

_OF_USERS = {"user": LABELS, "account": LABELS}
_OF_CLUSTER = {"cluster": LABELS}
_OF_JOB = {"job": JOB}
# How people see who it is in the exporter's series, and in what the site's rules make of them.
_WHO = "$user, $account"
_MOST_CPUS, _MOST_GPUS, _MOST_BYTES, _MOST_WATTS = 1e8, 1e7, 1e18, 1e9
# Every cluster has a root account, whether or not anything runs: it is there when slurmacct has been read.
_ACCOUNTED = {"accounted": Metric("hpc_account_info", (("parent", "=", ""),), by=OUR_CLUSTER)}
_KNOWN = "max ($accounted_mean)"
_RULES = {"rules": Metric("slurm_job:used_core:sum", by=CLUSTER)}
_CORES = {"cores": Metric("slurm_job_core_usage_total")}
_GPUS = {"gpus": Metric("slurm_job_utilization_gpu")}  # percent; blanks are above 100.5
_LIMITS = {"limits": Metric("slurm_job_memory_limit")}
_EXPORTER = "slurm_job_exporter"
# While any job is seen, a user who has none has nothing.
_ANYONE = {"anyone": Metric("slurm_job_memory_usage", by=CLUSTER)}
_WHILE_ANYONE = "group($anyone_now)"


def _ours(name: str, *, of: str, by: str, more: str = "") -> Expression:
    """Take our own gauge of users (or of accounts, for a cluster), added up by some labels."""
    holding = "" if name.startswith("allocated") else "holding"
    labels = "user, account" if of == "user" else "account"
    grouped = f"by ({by}) " if by else ""
    return Expression(
        name=name,
        metrics={
            "ours": Metric(f"hpc_{of}_{name}", by=OURS, within="accounted", holding=holding),
            "holding": Metric(f"hpc_{of}_allocated_{'gpus' if name.endswith('gpus') else 'cpus'}", by=OURS),
            **_ACCOUNTED,
        },
        text=f"sum {grouped}(max by ({labels}{more}) ($ours_mean))",
        present=_KNOWN,
    )


class _Rule(NamedTuple):
    """What the rules of the group slurm_job record of a resource: by user and account, and of the whole cluster."""

    of_users: str
    of_all: str


def _recorded(name: str, rules: Sequence[_Rule], *, of_all: bool = False) -> Expression:
    """Add up what rules recorded, whichever replica of Prometheus they ran in; of two what the first has more."""
    by = "" if of_all else f"by ({_WHO}) "
    sums = [f"sum {by}(max by (cluster, {_WHO}) ($rule{number}_mean))" for number in range(len(rules))]
    metrics = {
        f"rule{number}": Metric(f"slurm_job:{rule.of_all if of_all else rule.of_users}", within="rules")
        for number, rule in enumerate(rules)
    }
    return Expression(
        name=name,
        metrics={**metrics, **_RULES},
        text=sums[0] if len(sums) == 1 else f"clamp_min({' - '.join(sums)}, 0)",
        present="max ($rules_mean)",
    )


def _sums(
    name: str,
    gauge: str,
    help_text: str,
    unit: str,
    high: float,
    *rules: _Rule,
    metrics: Mapping[str, Metric] | None = None,
    text: str = "",
    type_label: str = "",
) -> tuple[Graph, ...]:
    """Give the same graph of users and accounts, with a line for each user under an account, and of a cluster.

    text is over the exporter's own series, which answer for users and accounts where there are no rules.
    """
    more = f", {type_label}" if type_label else ""
    of_users = [_ours(gauge, of="user", by=f"user, account{more}", more=more), _recorded(name, rules)]
    if metrics:
        of_users.append(Expression(name=name, metrics={**metrics, **_ANYONE}, text=text, there=_WHILE_ANYONE))
    of_all = [_ours(gauge, of="account", by=type_label, more=more), _recorded(name, rules, of_all=True)]
    return tuple(
        Graph(
            name=name, help=help_text, unit=unit, by=by, high=high, first=tuple(first), exporter=_EXPORTER,
            metrics=last.metrics, text=last.text, there=last.there,
        )
        for by, (*first, last) in ((_OF_USERS, of_users), (_OF_CLUSTER, of_all))
    )  # fmt: skip


_ALLOCATED_CPUS = _Rule("allocated_core:count_user_account", "allocated_core:count")
_USED_CPUS = _Rule("used_core:sum_user_account", "used_core:sum")
_ALLOCATED_MEMORY = _Rule("allocated_memory:sum_user_account", "allocated_memory:sum")
_USED_MEMORY = _Rule("rss_memory:sum_user_account", "rss_memory:sum")
_PEAK_MEMORY = _Rule("max_memory:sum_user_account", "max_memory:sum_user_account")
_ALLOCATED_GPUS = _Rule("allocated_gpu:count_user_account", "allocated_gpu:count")
_USED_GPUS = _Rule("used_gpu:sum_user_account", "used_gpu:sum")
_BUSY_GPUS = _Rule("non_idle_gpu:sum_user_account", "non_idle_gpu:sum_user_account")
_EACH_JOB = f"max by ({_WHO}, $job, $node)"
_EACH_GPU = f"max by ({_WHO}, $job, $node, $gpu) ($gpus_now <= 100.5)"

_SUMS = (
    *_sums(
        "allocated_cpus", "allocated_cpus", "CPUs held by running jobs.", "cpus", _MOST_CPUS, _ALLOCATED_CPUS,
        metrics=_CORES, text=f"count by ({_WHO}) (count by ({_WHO}, $job, $node, $core) ($cores_now))",
    ),
    *_sums(
        "used_cpus", "used_cpus", "CPUs that running jobs keep busy, where it is observed.", "cpus", _MOST_CPUS,
        _USED_CPUS, metrics={**_CORES, **SCRAPES},
        text=f"sum by ({_WHO}) ({core_slopes(f'{_WHO}, $job, $node, $core', f'{_WHO}, $job, $node')}) / 1e9",
    ),
    *_sums(
        "wasted_cpus", "wasted_cpus", "CPUs held and not busy, of the runs that are observed.", "cpus", _MOST_CPUS,
        _ALLOCATED_CPUS, _USED_CPUS,
    ),
    *_sums(
        "allocated_memory", "allocated_memory_bytes", "Memory held by running jobs.", "bytes", _MOST_BYTES,
        _ALLOCATED_MEMORY, metrics=_LIMITS,
        # Without a limit cgroups say 9.2e18, which is none.
        text=f"sum by ({_WHO}) ({_EACH_JOB} ($limits_now < {LARGEST_BYTES}))",
    ),
    *_sums(
        "used_memory", "used_memory_bytes",
        "Anonymous memory and swap cache of running jobs: no shared memory, no page cache.", "bytes", _MOST_BYTES,
        _USED_MEMORY, metrics={"resident": Metric("slurm_job_memory_rss")},
        text=f"sum by ({_WHO}) ({_EACH_JOB} ($resident_now))",
    ),
    *_sums(
        "peak_memory", "memory_peak_bytes", "Peaks of the running jobs, with page cache.", "bytes", _MOST_BYTES,
        _PEAK_MEMORY, metrics={"maxima": Metric("slurm_job_memory_max")},
        text=f"sum by ({_WHO}) ({_EACH_JOB} ($maxima_now))",
    ),
    *_sums(
        "wasted_memory", "wasted_memory_bytes", "Memory held above the fair share and the peak.", "bytes", _MOST_BYTES,
        _ALLOCATED_MEMORY, _USED_MEMORY,
    ),
    *_sums(
        "allocated_gpus", "allocated_gpus", "GPUs held by running jobs, by Slurm's type.", "gpus", _MOST_GPUS,
        _ALLOCATED_GPUS, metrics=_GPUS, type_label="gpu_type",
        text=f"count by ({_WHO}) (count by ({_WHO}, $job, $node, $gpu) ($gpus_now))",
    ),
    *_sums(
        "used_gpus", "used_gpus", "Sum of the utilisations of the GPUs that are seen.", "gpus", _MOST_GPUS, _USED_GPUS,
        metrics=_GPUS, text=f"sum by ({_WHO}) ({_EACH_GPU}) / 100",
    ),
    *_sums(
        "busy_gpus", "busy_gpus", "GPUs with a utilisation above 0 at that moment.", "gpus", _MOST_GPUS, _BUSY_GPUS,
        metrics=_GPUS, text=f"count by ({_WHO}) ({_EACH_GPU} > 0)",
    ),
    *_sums(
        "wasted_gpus", "wasted_gpus", "GPUs held and not utilised, of the runs that are observed.", "gpus", _MOST_GPUS,
        _ALLOCATED_GPUS, _USED_GPUS,
    ),
)  # fmt: skip

_OWN_USER_WATTS = {
    "ours": Metric("hpc_user_power_watts", by=OURS, within="accounted", holding="holding"),
    "holding": Metric("hpc_user_allocated_cpus", by=OURS), **_ACCOUNTED,
}  # fmt: skip
_POWER = (
    Graph(
        name="power", help="Power of the running jobs with their share of their nodes, as far as it is measured.",
        unit="watts", by=_OF_USERS, metrics=_OWN_USER_WATTS, high=_MOST_WATTS,
        text="sum by (user, account) (max by (user, account) ($ours_mean))",
    ),
    Graph(
        name="power", help="Power of the measured nodes by component.", unit="watts", by=_OF_CLUSTER,
        metrics={"ours": Metric("hpc_cluster_power_watts", by=OURS)}, high=_MOST_WATTS,
        text="max by (component) ($ours_mean)",
    ),
    Graph(
        name="power", help="Power of the job: its share of its nodes, and its own GPUs.", unit="watts", by=_OF_JOB,
        metrics={"ours": Metric("hpc_job_power_watts", by=OURS)}, high=_MOST_WATTS,
        text="max by (slurmjobid, component) ($ours_mean)",
    ),
    *(
        Graph(
            name="gpu_power", help="Power of jobs' GPUs by model, for each job that shares one; no MIG.", unit="watts",
            by=by, metrics={**BOARDS, **_ANYONE}, high=_MOST_WATTS, there=_WHILE_ANYONE, exporter=_EXPORTER,
            text=f"sum by ({who}$gpu_type) (max by ({who}$job, $node, $gpu, $gpu_type) ($boards_now < 2e6)) / 1000",
        )
        for by, who in ((_OF_USERS, f"{_WHO}, "), (_OF_CLUSTER, ""))
    ),
)  # fmt: skip

# A job's allocation does not change: the largest that was seen of a step is it.
_OF_JOBS = tuple(
    Graph(
        name=name, help=help_text, unit=unit, by=_OF_JOB, high=high, metrics=metrics, text=text, exporter=_EXPORTER,
        first=(
            Expression(
                name=gauge, metrics={"ours": Metric(f"hpc_job_{gauge}", by=OURS), **_ACCOUNTED},
                text="max by (slurmjobid) ($ours_max)", present=_KNOWN,
            ),
        ),
    )
    for name, gauge, help_text, unit, high, metrics, text in (
        (
            "allocated_cpus", "allocated_cpus", "CPUs held by the job.", "cpus", _MOST_CPUS, _CORES,
            "count by ($job) (count by ($job, $node, $core) ($cores))",
        ),
        (
            "allocated_memory", "allocated_memory_bytes", "Memory held by the job.", "bytes", LARGEST_BYTES, _LIMITS,
            f"sum by ($job) (max by ($job, $node) ($limits_max < {LARGEST_BYTES}))",
        ),
    )
)  # fmt: skip

_EXECUTABLES = {"executables": Metric("slurm_job_process_usage_total"), **_ANYONE}
_WHOLE = '"(.*)"'
_PROGRAMS = extracted(busy_programs(f"{_WHO}, $job, $node, $exe"), "application", "$exe", BASENAME)
_RECORDED_PROGRAMS = Expression(
    name="applications",
    metrics={"recorded": Metric("slurm_job:process_usage:sum_account", within="rules"), **_RULES},
    text="sum by ($account, application) "
    f"({extracted('max by (cluster, $account, bin) ($recorded_mean)', 'application', 'bin', _WHOLE)})",
    present="max ($recorded_mean)",
)


def _applications(subject: str, who: str, *first: Expression) -> Graph:
    return Graph(
        name="applications", help="Busy CPUs of each executable that has used a minute of CPU time.", unit="cpus",
        by={subject: LABELS}, metrics=_EXECUTABLES, text=f"sum by ({who}, application) ({_PROGRAMS})", first=first,
        there=_WHILE_ANYONE, high=_MOST_CPUS, top=APPLICATIONS, folded="application", whole="used_cpus",
        exporter=_EXPORTER,
    )  # fmt: skip


# What software a whole cluster runs: the paths name users' folders, so that only their classes are shown.
_OF_SOFTWARE = busy_programs("$job, $node, $exe")
_EACH_PROGRAM = f"sum by ($job, $exe) ({_OF_SOFTWARE})"
_SOFTWARE = (
    Graph(
        name="executables", help="Busy CPUs by the path of the executable.", unit="cpus", by={"software": LABELS},
        metrics=_EXECUTABLES, high=_MOST_CPUS, there=_WHILE_ANYONE, exporter=_EXPORTER,
        text=f"sum by ($exe) ({_OF_SOFTWARE})",
    ),
    Graph(
        name="gpu_executables", help="GPUs of jobs, shared among their executables by CPU time.", unit="gpus",
        by={"software": LABELS}, metrics={**_EXECUTABLES, **_GPUS}, high=_MOST_GPUS, there=_WHILE_ANYONE,
        exporter=_EXPORTER,
        text="sum by ($exe) ("
        f"{_EACH_PROGRAM} / on ($job) group_left () sum by ($job) ({_EACH_PROGRAM})"
        " * on ($job) group_left () count by ($job) (count by ($job, $node, $gpu) ($gpus_now)))",
    ),
)  # fmt: skip

GRAPHS = (
    *_SUMS,
    *_POWER,
    *_OF_JOBS,
    _applications("user", _WHO),
    _applications("account", "$account", _RECORDED_PROGRAMS),
    *_SOFTWARE,
)

EXPORTER = Exporter(graphs=GRAPHS)
