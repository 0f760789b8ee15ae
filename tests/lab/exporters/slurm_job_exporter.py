"""The metrics of one node, as slurm-job-exporter would show them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tests.lab.behaviours import DCGM_BLANK, GPU_MEMORY_BYTES, GPU_TYPE, Behaviour
from tests.lab.exporters.activity import Activity

# slurm-job-exporter shows an executable only once it has used this much CPU time.
_EXECUTABLE_MIN_SECONDS = 60

_BASE = ("user", "account", "slurmjobid")

_MEMORY: dict[str, Callable[[Activity], float]] = {
    "usage": lambda it: it.behaviour.memory_usage(it.cpus),
    "max": lambda it: it.behaviour.memory_max(it.cpus),
    "limit": lambda it: it.share.memory_bytes,
    "cache": lambda it: it.behaviour.cache,
    "rss": lambda it: it.behaviour.rss(it.cpus),
    "rss_huge": lambda it: 0,
    "mapped_file": lambda it: it.behaviour.cache // 4,
    "active_file": lambda it: it.behaviour.cache // 2,
    "inactive_file": lambda it: it.behaviour.cache // 2,
    "unevictable": lambda it: 0,
}

_GPU: dict[str, Callable[[Behaviour, float], float]] = {
    "slurm_job_memory_total_gpu": lambda behaviour, utilization: GPU_MEMORY_BYTES,
    "slurm_job_memory_usage_gpu": lambda behaviour, utilization: behaviour.gpu_memory,
    "slurm_job_power_gpu": lambda behaviour, utilization: behaviour.gpu_power_watts(utilization) * 1000,
    "slurm_job_utilization_gpu": lambda behaviour, utilization: utilization,
    "slurm_job_utilization_gpu_memory": lambda behaviour, utilization: utilization * 0.5,
    "slurm_job_sm_occupancy_gpu": lambda behaviour, utilization: utilization * 0.6,
    "slurm_job_tensor_gpu": lambda behaviour, utilization: utilization * 0.3,
    "slurm_job_fp64_gpu": lambda behaviour, utilization: 0.0,
    "slurm_job_fp32_gpu": lambda behaviour, utilization: utilization * 0.2,
    "slurm_job_fp16_gpu": lambda behaviour, utilization: utilization * 0.1,
}

_LINKS = {"slurm_job_pcie_gpu": 1e6, "slurm_job_nvlink_gpu": 2e6}


def slurm_job_exporter(jobs: Sequence[Activity], *, blank: bool) -> Iterator[Metric]:
    """Yield the families of slurm-job-exporter; with *blank*, each job's GPU 0 has DCGM's blank utilisation."""
    for name, value in _MEMORY.items():
        family = GaugeMetricFamily(f"slurm_job_memory_{name}", f"Job memory {name}", labels=_BASE)
        for job in jobs:
            family.add_metric(job.labels, value(job))
        yield family
    yield from _processes(jobs)
    yield from _gpus([job for job in jobs if job.utilizations], blank=blank)


def _processes(jobs: Iterable[Activity]) -> Iterator[Metric]:
    cores = CounterMetricFamily("slurm_job_core_usage", "CPU time per allocated core", labels=(*_BASE, "core"))
    count = GaugeMetricFamily("slurm_job_process_count", "User processes", labels=_BASE)
    threads = GaugeMetricFamily("slurm_job_threads_count", "Threads by state", labels=(*_BASE, "state"))
    usage = CounterMetricFamily("slurm_job_process_usage", "CPU seconds by executable", labels=(*_BASE, "exe"))
    for job in jobs:
        for core in job.share.cpus:
            cores.add_metric((*job.labels, str(core)), job.behaviour.cpu * job.elapsed * 1e9)
        count.add_metric(job.labels, job.cpus)
        threads.add_metric((*job.labels, "running"), job.cpus)
        threads.add_metric((*job.labels, "sleeping"), 2)
        if job.cpu_seconds >= _EXECUTABLE_MIN_SECONDS:
            usage.add_metric((*job.labels, "/opt/sw/bin/simulate"), job.cpu_seconds)
    yield from (cores, count, threads, usage)


def _gpus(jobs: Sequence[Activity], *, blank: bool) -> Iterator[Metric]:
    labels = (*_BASE, "gpu", "gpu_type")
    for name, value in _GPU.items():
        family = GaugeMetricFamily(name, "A job's GPU", labels=labels)
        for job in jobs:
            for index, utilization in enumerate(job.utilizations):
                hidden = blank and index == 0 and name == "slurm_job_utilization_gpu"
                sample = DCGM_BLANK if hidden else value(job.behaviour, utilization)
                family.add_metric((*job.labels, str(index), GPU_TYPE), sample)
        yield family
    for name, rate in _LINKS.items():
        family = GaugeMetricFamily(name, "Bytes per second of a job's GPU", labels=(*labels, "direction"))
        for job in jobs:
            for index, utilization in enumerate(job.utilizations):
                for direction in ("TX", "RX"):
                    family.add_metric((*job.labels, str(index), GPU_TYPE, direction), utilization * rate)
        yield family
