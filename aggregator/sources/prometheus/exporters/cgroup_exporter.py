"""Inputs from cgroup_exporter, of plazonic and of treydock, which call their metrics alike: CPUs and memory of jobs.

plazonic's names the job on each value, with step and task, which are "" for the job as a whole. treydock's values have
the cgroup's path alone, whose last part is the job's: job_ and its number, or from Slurm 26.05 on its SLUID, of which
treydock's cgroup_info knows nothing. So nobody need say which of the two a node has. What could not be read is left out
by plazonic, and 0 in treydock's, with cgroup_exporter_collect_error. There is no peak of memory, no thread and no user.
A job without processes has its series in plazonic's as long as its cgroup is there.
"""

from aggregator.sources.prometheus.exporter import Exporter, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import CLUSTER, Expression, Metric
from aggregator.sources.prometheus.promql import extracted, quote, vouching

# An unlimited limit is 9.2e18 or 1.8e19 where it is not -1, and no memory is as large.
_LARGEST_BYTES = 1e15
_OF_JOB = (("jobid", "!=", ""), ("step", "=", ""), ("task", "=", ""))
_NUMBER, _SLUID = ".*/job_([0-9]+)", ".*/(s[0-9A-Z]{13})"
_OF_CGROUP = (("cgroup", "=~", f"{_NUMBER}|{_SLUID}"),)
_FAILED = {"failed": Metric("cgroup_exporter_collect_error", _OF_CGROUP, by=CLUSTER)}


def _metrics(name: str) -> dict[str, Metric]:
    return {"own": Metric(name, _OF_JOB), "cgroups": Metric(name, _OF_CGROUP, by=CLUSTER), **_FAILED}


def _of_jobs(value: str, failed: str) -> str:
    """Write a value by job and node, of series that name the job, or else of cgroups; {0} stands for either."""
    named = f"{value.format('cgroups')} unless on (instance, $cgroup) {failed} > 0"
    for path in (_NUMBER, _SLUID):
        named = extracted(named, "$job", "$cgroup", quote(path))
    return f"max by ($job, $node) ({value.format('own')}) or max by ($job, $node) ({named})"


def _newest(name: str, metric: str, value: str, *, high: float, meaning: str = "") -> Expression:
    return Expression(
        name=name, metrics=_metrics(metric), text=_of_jobs(value, "$failed"), high=high, job_label="jobid",
        meaning=meaning,
    )  # fmt: skip


_CPU, _MEMORY = "cgroup_cpu_total_seconds", "cgroup_memory_rss_bytes"
_MEANING = (
    "resident memory and its swap cache; treydock's exporter on cgroup v2 counts the page cache as well, so that a job "
    "uses no more than that"
)
CPUS = Expression(
    name="cpus", metrics=_metrics(_CPU), high=1e5, job_label="jobid",
    # deriv of at least two samples, as in slurm_job_exporter.py. A failure makes a counter 0 for a moment.
    text=_of_jobs(
        "(deriv(${0}[$window]) and count_over_time(${0}[$window]) > 1)", "max_over_time($failed[$window])"
    ),
)  # fmt: skip
CPU_SECONDS = _newest("cpu_seconds", _CPU, "${0}", high=1e13)
SAMPLED_AT = _newest("sampled_at", _CPU, "timestamp(${0})", high=1e11)
MEMORY = _newest("memory_bytes", _MEMORY, "${0}", high=_LARGEST_BYTES, meaning=_MEANING)
WINDOW_MEMORY = Expression(
    name="memory_bytes", metrics=_metrics(_MEMORY), high=_LARGEST_BYTES, job_label="jobid",
    text=_of_jobs(
        "avg_over_time(${0}_valid[$moments])", "max_over_time($failed[$hold])"
    ),
)  # fmt: skip

_VOUCHING = {**_metrics(_CPU), "up": Metric("up")}
_SHOWN = "($own or $cgroups)"
HEALTHY_NODES = Expression(
    name="healthy_nodes", metrics=_VOUCHING, text=vouching(_SHOWN, "$up and timestamp($up) >= time() - $age"),
    job_label="jobid",
)  # fmt: skip
# Of a node on which a cgroup could not be read nobody knows whose it was.
_HAS_FAILED = "max_over_time($failed[$window]) > 0 or max_over_time($failed[$hold]) > 0"
WINDOW_HEALTHY_NODES = Expression(
    name="healthy_nodes", metrics=_VOUCHING, job_label="jobid",
    text=f"{vouching(_SHOWN, 'min_over_time($up[$hold])')} unless on ($node) group by ($node) ({_HAS_FAILED})",
)  # fmt: skip

PROVIDES = Provides(
    values=(CPUS, CPU_SECONDS, SAMPLED_AT, MEMORY), healthy_nodes=HEALTHY_NODES,
    of_windows=OfWindows(cpus=CPUS, memory=WINDOW_MEMORY, healthy_nodes=WINDOW_HEALTHY_NODES),
)  # fmt: skip
NEEDED = (
    needed("up", "which nodes are observed, so that a job without series is idle and not unknown"),
    needed(_CPU, "CPUs used by jobs, and when a job was scraped"),
    needed(_MEMORY, "memory used by jobs"),
    needed("cgroup_exporter_collect_error", "with treydock's exporter: which values are 0 by mistake", always=False),
)

EXPORTER = Exporter(inputs=PROVIDES.asked, needed=NEEDED, provides=PROVIDES)
