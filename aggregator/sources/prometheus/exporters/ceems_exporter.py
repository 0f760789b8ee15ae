"""Inputs from CEEMS' exporter: CPUs and memory of jobs, and which GPUs they have, which dcgm-exporter measures.

Facts from its own end-to-end outputs of 0.10.1: `uuid` is the job's id where manager is "slurm". There is no user. CPU
time is two counters, of users and of the system. ceems_compute_unit_gpu_index_flag is the job's share of a GPU, less
than 1 with shards; gpuuuid is dcgm-exporter's UUID, the board's, and gpuiid its GPU_I_ID. The series of a GPU may be of
another target, so that nodes are not compared. A job without processes has its series as long as its cgroup is there.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric
from aggregator.sources.prometheus.promql import ANY, extracted, vouching

_SLURM = (("manager", "=", "slurm"),)
_UNIT = "ceems_compute_unit"
_LARGEST_BYTES = 1e15
_USER = {"user": Metric(f"{_UNIT}_cpu_user_seconds_total", _SLURM)}
_CPU = {**_USER, "system": Metric(f"{_UNIT}_cpu_system_seconds_total", _SLURM)}
_MEMORY = {"own": Metric(f"{_UNIT}_memory_rss_bytes", _SLURM)}


def _sum(value: str) -> str:
    """Write the sum of both counters by job and node; {0} stands for either."""
    return " + ".join(f"max by ($job, $node) ({value.format(counter)})" for counter in _CPU)


CPUS = Expression(
    name="cpus", metrics=_CPU, high=1e5, job_label="uuid",
    # deriv of at least two samples, as in slurm_job_exporter.py.
    text=f"{_sum('deriv(${0}[$window])')} and max by ($job, $node) (count_over_time($user[$window])) > 1",
)  # fmt: skip
CPU_SECONDS = Expression(name="cpu_seconds", metrics=_CPU, text=_sum("${0}"), high=1e13, job_label="uuid")
SAMPLED_AT = Expression(
    name="sampled_at", metrics=_USER, text="max by ($job, $node) (timestamp($user))", high=1e11, job_label="uuid"
)
MEMORY = Expression(
    name="memory_bytes", metrics=_MEMORY, text="max by ($job, $node) ($own)", high=_LARGEST_BYTES, job_label="uuid",
    meaning="resident memory, without the page cache",
)  # fmt: skip
WINDOW_MEMORY = Expression(
    name="memory_bytes", metrics=_MEMORY, text="max by ($job, $node) (avg_over_time($own_valid[$moments]))",
    high=_LARGEST_BYTES, job_label="uuid",
)  # fmt: skip

_UP = {"up": Metric("up")}
HEALTHY_NODES = Expression(
    name="healthy_nodes", metrics={**_USER, **_UP}, job_label="uuid",
    text=vouching("$user", "$up and timestamp($up) >= time() - $age"),
)  # fmt: skip
WINDOW_HEALTHY_NODES = Expression(
    name="healthy_nodes", metrics={**_USER, **_UP}, text=vouching("$user", "min_over_time($up[$hold])"),
    job_label="uuid",
)  # fmt: skip

_UTIL, _ENGINE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
_FB_USED, _POWER = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE"
_NOW, _MEAN = "(${0} and timestamp(${0}) >= time() - $age)", "avg_over_time(${0}_valid[$moments])"
_BUSY = "{0} or 100 * {1}"


def _gpus(
    name: str, form: str, *metrics: str, text: str = "{0}", scale: float, low: float = 0.0, high: float
) -> Expression:
    """Write the job's share of what dcgm-exporter measures of each of its GPUs."""
    there = {f"gpus{number}": Metric(metric) for number, metric in enumerate(metrics)}
    value = text.format(*map(form.format, there))
    for label, source in (("$gpuuuid", "$UUID"), ("$gpuuuid", "$uuid"), ("$gpuiid", "$GPU_I_ID")):
        value = extracted(value, label, source, ANY)
    flag = "last_over_time($flag[$hold])" if form == _MEAN else "$flag"
    shares = f"max by ($job, $node, $gpuuuid, $gpuiid) ({flag} > 0)"
    return Expression(
        name=name, metrics={**there, "flag": Metric(f"{_UNIT}_gpu_index_flag", _SLURM)}, scale=scale, low=low,
        high=high, text=f"max by ($gpuuuid, $gpuiid) ({value}) * on ($gpuuuid, $gpuiid) group_right () {shares}",
        job_label="uuid", names_jobs=False, meaning="the job's share of a GPU, where jobs share it",
    )  # fmt: skip


PROVIDES = Provides(
    values=(CPUS, CPU_SECONDS, SAMPLED_AT, MEMORY),
    gpus=(
        _gpus("job_utilization", _NOW, _UTIL, _ENGINE, text=_BUSY, scale=0.01, high=1.005),
        _gpus("job_memory", _NOW, _FB_USED, scale=2.0**20, high=1e13),
    ),
    gpu_labels=("gpuuuid",), slice="gpuiid", healthy_nodes=HEALTHY_NODES,
    of_windows=OfWindows(
        cpus=CPUS, memory=WINDOW_MEMORY, healthy_nodes=WINDOW_HEALTHY_NODES,
        gpu_utilization=_gpus("job_utilization", _MEAN, _UTIL, _ENGINE, text=_BUSY, scale=0.01, high=1.005),
        gpu_watts=_gpus("job_watts", _MEAN, _POWER, scale=1.0, low=1.0, high=1e5),
    ),
)  # fmt: skip
NEEDED = (
    needed("up", "which nodes are observed, so that a job without series is idle and not unknown"),
    needed(f"{_UNIT}_cpu_user_seconds_total", "CPUs used by jobs, and when a job was scraped"),
    needed(f"{_UNIT}_cpu_system_seconds_total", "CPUs used by jobs"),
    needed(f"{_UNIT}_memory_rss_bytes", "memory used by jobs"),
    needed(f"{_UNIT}_gpu_index_flag", "which job has a GPU", always=False),
    Needed("GPUs used by jobs (dcgm-exporter's)", (_UTIL, _ENGINE), always=False),
    needed(_FB_USED, "GPU memory used by jobs (dcgm-exporter's)", always=False),
    needed(_POWER, "the power of jobs' GPUs (dcgm-exporter's)", always=False),
)

EXPORTER = Exporter(inputs=PROVIDES.asked, needed=NEEDED, provides=PROVIDES)
