"""Graphs of users, accounts and clusters: what this service itself has shown, by way of the Prometheus that scrapes it.

What is allocated is what slurmacct says, never a count of series: those are missing for a job without a process, for a
node whose exporter is down, and, on old cgroup v2 exporters, for every job. For the time before this service was
there the rules of the group slurm_job answer (rules/recording/slurm_job.yml), and for a user or account the series of
slurm-job-exporter where there are no rules either; those do count series. Where this service was there and shows no
use it was not known: nobody else is asked then, for the rules' rates fall while exporters are away. Replicas of this
service, and of Prometheus, show the same: the largest is taken before anything is added up.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporters.slurm_job_exporter import (
    APPLICATIONS,
    LARGEST_BYTES,
    SCRAPES,
    busy_programs,
    core_slopes,
)
from aggregator.sources.prometheus.graphs import CLUSTER, JOB, LABELS, OUR_CLUSTER, OURS, Graph, Series, Source

_OF_USERS = {"user": LABELS, "account": LABELS}
_OF_CLUSTER = {"cluster": LABELS}
_OF_JOB = {"job": JOB}
# How people see who it is in the exporter's series; our own and the rules' labels are not renamed.
_WHO = "$user, $account"
_MOST_CPUS, _MOST_GPUS, _MOST_BYTES, _MOST_WATTS = 1e8, 1e7, 1e18, 1e9
# Every cluster has a root account, whether or not anything runs: it is there when slurmacct has been read.
_ACCOUNTED = Series("hpc_account_info", (("parent", "=", ""),), by=OUR_CLUSTER)
_RECORDED = Series("slurm_job:used_core:sum", by=CLUSTER)
_CORES = Series("slurm_job_core_usage_total")
_GPUS = Series("slurm_job_utilization_gpu")  # percent; blanks are above 100.5
_BOARDS = Series("slurm_job_power_gpu", (("gpu", "!~", "MIG-.*"),))  # milliwatts; a slice repeats those of its board
_SOURCE_OF_RULES = "max ($rules_mean)"
# While any job is seen, a user who has none has nothing.
_ANYONE = Series("slurm_job_memory_usage", by=CLUSTER)
_WHILE_ANYONE = "group($anyone_now)"


def _ours(name: str, *, of: str, by: str, more: str = "") -> tuple[Mapping[str, Series], Source]:
    """Take our own gauge of users (or of accounts, for a cluster), added up by some labels."""
    held = "" if name.startswith("allocated") else "holding"
    labels = "user, account" if of == "user" else "account"
    grouped = f"by ({by}) " if by else ""
    series = {
        "ours": Series(f"hpc_{of}_{name}", by=OURS, within="accounted", held=held),
        "holding": Series(f"hpc_{of}_allocated_{'gpus' if name.endswith('gpus') else 'cpus'}", by=OURS),
        "accounted": _ACCOUNTED,
    }
    return series, Source(f"sum {grouped}(max by ({labels}{more}) ($ours_mean))", "max ($accounted_mean)")


def _sums(
    name: str,
    gauge: str,
    help_text: str,
    unit: str,
    high: float,
    *,
    of_rules: str,
    of_cluster: str,
    of_series: str = "",
    series: Mapping[str, Series],
    type_label: str = "",
) -> tuple[Graph, Graph]:
    """Give the same graph of users and accounts, with a line for each user under an account, and of a cluster.

    of_rules and of_cluster are over the sums that rules record, of_series over the exporter's own series.
    """
    rules = {"rules": _RECORDED, "anyone": _ANYONE}
    more = f", {type_label}" if type_label else ""
    own, first = _ours(gauge, of="user", by=f"user, account{more}", more=more)
    own_sum, first_sum = _ours(gauge, of="account", by=type_label, more=more)
    recorded = Source(of_rules, _SOURCE_OF_RULES)
    of_users = Graph(
        name=name, help=help_text, unit=unit, by=_OF_USERS, series={**series, **rules, **own}, high=high,
        expression=of_series or of_rules, first=(first, recorded) if of_series else (first,),
        there=_WHILE_ANYONE if of_series else "",
    )  # fmt: skip
    whole = Graph(
        name=name, help=help_text, unit=unit, by=_OF_CLUSTER, series={**series, **rules, **own_sum}, high=high,
        expression=of_cluster, first=(first_sum,),
    )  # fmt: skip
    return of_users, whole


def _rule(name: str) -> Series:
    return Series(f"slurm_job:{name}", within="rules")


_ALLOCATED_CPUS = {"held": _rule("allocated_core:count_user_account"), "held_sum": _rule("allocated_core:count")}
_USED_CPUS = {"used": _rule("used_core:sum_user_account"), "used_sum": _rule("used_core:sum")}
_ALLOCATED_MEMORY = {"held": _rule("allocated_memory:sum_user_account"), "held_sum": _rule("allocated_memory:sum")}
_USED_MEMORY = {"used": _rule("rss_memory:sum_user_account"), "used_sum": _rule("rss_memory:sum")}
_ALLOCATED_GPUS = {"held": _rule("allocated_gpu:count_user_account"), "held_sum": _rule("allocated_gpu:count")}
_USED_GPUS = {"used": _rule("used_gpu:sum_user_account"), "used_sum": _rule("used_gpu:sum")}


def _by_rules(name: str) -> str:
    """Add up what rules recorded: by user, account and cluster, whichever replica of Prometheus they ran in."""
    return f"sum by ({_WHO}) (max by (cluster, {_WHO}) (${name}_mean))"


def _all_rules(name: str) -> str:
    return f"sum (max by (cluster, {_WHO}) (${name}_mean))"


def _busy_cores(slope: str) -> str:
    return f"sum by ({_WHO}, $job, $node) (max by ({_WHO}, $job, $node, core) ({slope}))"


_WASTED = f"clamp_min({_by_rules('held')} - {_by_rules('used')}, 0)"
_WASTED_SUM = f"clamp_min({_all_rules('held_sum')} - {_all_rules('used_sum')}, 0)"
_EACH_GPU = f"max by ({_WHO}, $job, $node, gpu) ($gpus_now <= 100.5)"

_SUMS = (
    *_sums(
        "allocated_cpus", "allocated_cpus", "CPUs held by running jobs.", "cpus", _MOST_CPUS,
        series={**_ALLOCATED_CPUS, "cores": _CORES},
        of_rules=_by_rules("held"), of_cluster=_all_rules("held_sum"),
        of_series=f"count by ({_WHO}) (count by ({_WHO}, $job, $node, core) ($cores_now))",
    ),
    *_sums(
        "used_cpus", "used_cpus", "CPUs that running jobs keep busy, where it is observed.", "cpus", _MOST_CPUS,
        series={**_USED_CPUS, "cores": _CORES, **SCRAPES},
        of_rules=_by_rules("used"), of_cluster=_all_rules("used_sum"),
        of_series=f"sum by ({_WHO}) ({core_slopes(_busy_cores)}) / 1e9",
    ),
    *_sums(
        "wasted_cpus", "wasted_cpus", "CPUs held and not busy, of the runs that are observed.", "cpus", _MOST_CPUS,
        series={**_ALLOCATED_CPUS, **_USED_CPUS}, of_rules=_WASTED, of_cluster=_WASTED_SUM,
    ),
    *_sums(
        "allocated_memory", "allocated_memory_bytes", "Memory held by running jobs.", "bytes", _MOST_BYTES,
        series={**_ALLOCATED_MEMORY, "limits": Series("slurm_job_memory_limit")},
        of_rules=_by_rules("held"), of_cluster=_all_rules("held_sum"),
        # Without a limit cgroups say 9.2e18, which is none.
        of_series=f"sum by ({_WHO}) (max by ({_WHO}, $job, $node) ($limits_now < {LARGEST_BYTES}))",
    ),
    *_sums(
        "used_memory", "used_memory_bytes",
        "Anonymous memory and swap cache of running jobs: no shared memory, no page cache.", "bytes", _MOST_BYTES,
        series={**_USED_MEMORY, "resident": Series("slurm_job_memory_rss")},
        of_rules=_by_rules("used"), of_cluster=_all_rules("used_sum"),
        of_series=f"sum by ({_WHO}) (max by ({_WHO}, $job, $node) ($resident_now))",
    ),
    *_sums(
        "peak_memory", "memory_peak_bytes", "Peaks of the running jobs, with page cache.", "bytes", _MOST_BYTES,
        series={"peaks": _rule("max_memory:sum_user_account"), "maxima": Series("slurm_job_memory_max")},
        of_rules=_by_rules("peaks"), of_cluster=_all_rules("peaks"),
        of_series=f"sum by ({_WHO}) (max by ({_WHO}, $job, $node) ($maxima_now))",
    ),
    *_sums(
        "wasted_memory", "wasted_memory_bytes", "Memory held above the fair share and the peak.", "bytes", _MOST_BYTES,
        series={**_ALLOCATED_MEMORY, **_USED_MEMORY}, of_rules=_WASTED, of_cluster=_WASTED_SUM,
    ),
    *_sums(
        "allocated_gpus", "allocated_gpus", "GPUs held by running jobs, by Slurm's type.", "gpus", _MOST_GPUS,
        series={**_ALLOCATED_GPUS, "gpus": _GPUS}, type_label="gpu_type",
        of_rules=_by_rules("held"), of_cluster=_all_rules("held_sum"),
        of_series=f"count by ({_WHO}) (count by ({_WHO}, $job, $node, gpu) ($gpus_now))",
    ),
    *_sums(
        "used_gpus", "used_gpus", "Sum of the utilisations of the GPUs that are seen.", "gpus", _MOST_GPUS,
        series={**_USED_GPUS, "gpus": _GPUS},
        of_rules=_by_rules("used"), of_cluster=_all_rules("used_sum"),
        of_series=f"sum by ({_WHO}) ({_EACH_GPU}) / 100",
    ),
    *_sums(
        "busy_gpus", "busy_gpus", "GPUs with a utilisation above 0 at that moment.", "gpus", _MOST_GPUS,
        series={"busy": _rule("non_idle_gpu:sum_user_account"), "gpus": _GPUS},
        of_rules=_by_rules("busy"), of_cluster=_all_rules("busy"),
        of_series=f"count by ({_WHO}) ({_EACH_GPU} > 0)",
    ),
    *_sums(
        "wasted_gpus", "wasted_gpus", "GPUs held and not utilised, of the runs that are observed.", "gpus", _MOST_GPUS,
        series={**_ALLOCATED_GPUS, **_USED_GPUS}, of_rules=_WASTED, of_cluster=_WASTED_SUM,
    ),
)  # fmt: skip

_OWN_USER_WATTS = {
    "ours": Series("hpc_user_power_watts", by=OURS, within="accounted", held="holding"),
    "holding": Series("hpc_user_allocated_cpus", by=OURS), "accounted": _ACCOUNTED,
}  # fmt: skip
_POWER = (
    Graph(
        name="power", help="Power of the running jobs with their share of their nodes, as far as it is measured.",
        unit="watts", by=_OF_USERS, series=_OWN_USER_WATTS, high=_MOST_WATTS,
        expression="sum by (user, account) (max by (user, account) ($ours_mean))",
    ),
    Graph(
        name="power", help="Power of the measured nodes by component.", unit="watts", by=_OF_CLUSTER,
        series={"ours": Series("hpc_cluster_power_watts", by=OURS)}, high=_MOST_WATTS,
        expression="max by (component) ($ours_mean)",
    ),
    Graph(
        name="power", help="Power of the job: its share of its nodes, and its own GPUs.", unit="watts", by=_OF_JOB,
        series={"ours": Series("hpc_job_power_watts", by=OURS)}, high=_MOST_WATTS,
        expression="max by (slurmjobid, component) ($ours_mean)",
    ),
    Graph(
        name="gpu_power", help="Power of jobs' GPUs by model, for each job that shares one; no MIG.", unit="watts",
        by=_OF_USERS, series={"boards": _BOARDS, "anyone": _ANYONE}, high=_MOST_WATTS, there=_WHILE_ANYONE,
        expression=f"sum by ({_WHO}, gpu_type) ("
        f"max by ({_WHO}, $job, $node, gpu, gpu_type) ($boards_now < 2e6)) / 1000",
    ),
    Graph(
        name="gpu_power", help="Power of jobs' GPUs by model, for each job that shares one; no MIG.", unit="watts",
        by=_OF_CLUSTER, series={"boards": _BOARDS, "anyone": _ANYONE}, high=_MOST_WATTS, there=_WHILE_ANYONE,
        expression="sum by (gpu_type) (max by ($job, $node, gpu, gpu_type) ($boards_now < 2e6)) / 1000",
    ),
)  # fmt: skip

# A job's allocation does not change: the largest that was seen of a step is it.
_OF_JOBS = (
    Graph(
        name="allocated_cpus", help="CPUs held by the job.", unit="cpus", by=_OF_JOB, high=_MOST_CPUS,
        series={"ours": Series("hpc_job_allocated_cpus", by=OURS), "there": _ACCOUNTED, "cores": _CORES},
        first=(Source("max by (slurmjobid) ($ours_max)", "max ($there_mean)"),),
        expression="count by ($job) (count by ($job, $node, core) ($cores))",
    ),
    Graph(
        name="allocated_memory", help="Memory held by the job.", unit="bytes", by=_OF_JOB, high=LARGEST_BYTES,
        series={
            "ours": Series("hpc_job_allocated_memory_bytes", by=OURS), "there": _ACCOUNTED,
            "limits": Series("slurm_job_memory_limit"),
        },
        first=(Source("max by (slurmjobid) ($ours_max)", "max ($there_mean)"),),
        expression=f"sum by ($job) (max by ($job, $node) ($limits_max < {LARGEST_BYTES}))",
    ),
)  # fmt: skip

_EXECUTABLES = {"executables": Series("slurm_job_process_usage_total"), "anyone": _ANYONE}
_PROGRAMS = busy_programs(f"{_WHO}, $job, $node, exe")
_APPLICATION = '"application", "$$1", "exe", "(?:.*/)?([^/]+)"'
_APPLICATIONS_HELP = "Busy CPUs of each executable that has used a minute of CPU time."
_APPLICATIONS = (
    Graph(
        name="applications", help=_APPLICATIONS_HELP, unit="cpus", by={"user": LABELS}, series=_EXECUTABLES,
        expression=f"sum by ({_WHO}, application) (label_replace({_PROGRAMS}, {_APPLICATION}))",
        there=_WHILE_ANYONE, high=_MOST_CPUS, top=APPLICATIONS, folded="application", whole="used_cpus",
    ),
    Graph(
        name="applications", help=_APPLICATIONS_HELP, unit="cpus", by={"account": LABELS},
        series={**_EXECUTABLES, "rules": _RECORDED, "recorded": _rule("process_usage:sum_account")},
        first=(
            Source(
                'sum by ($account, application) (label_replace(max by (cluster, $account, bin) ($recorded_mean), '
                '"application", "$$1", "bin", "(.*)"))',
                "max ($recorded_mean)",
            ),
        ),
        expression=f"sum by ($account, application) (label_replace({_PROGRAMS}, {_APPLICATION}))",
        there=_WHILE_ANYONE, high=_MOST_CPUS, top=APPLICATIONS, folded="application", whole="used_cpus",
    ),
)  # fmt: skip

# What software a whole cluster runs: the paths name users' folders, so that only their classes are shown.
_EACH_PROGRAM = f"sum by ($job, exe) ({busy_programs('$job, $node, exe')})"
_SOFTWARE = (
    Graph(
        name="executables", help="Busy CPUs by the path of the executable.", unit="cpus", by={"software": LABELS},
        series=_EXECUTABLES, high=_MOST_CPUS, there=_WHILE_ANYONE,
        expression=f"sum by (exe) ({busy_programs('$job, $node, exe')})",
    ),
    Graph(
        name="gpu_executables", help="GPUs of jobs, shared among their executables by CPU time.", unit="gpus",
        by={"software": LABELS}, series={**_EXECUTABLES, "gpus": _GPUS}, high=_MOST_GPUS, there=_WHILE_ANYONE,
        expression="sum by (exe) ("
        f"{_EACH_PROGRAM} / on ($job) group_left () sum by ($job) ({_EACH_PROGRAM})"
        " * on ($job) group_left () count by ($job) (count by ($job, $node, gpu) ($gpus_now)))",
    ),
)  # fmt: skip

GRAPHS = (*_SUMS, *_POWER, *_OF_JOBS, *_APPLICATIONS, *_SOFTWARE)
