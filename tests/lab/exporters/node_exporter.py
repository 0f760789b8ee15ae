"""What node_exporter shows of a node, as far as the service reads it."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tests.lab.exporters.activity import Activity
from tests.lab.slurm_config import CPUS_PER_NODE, MEMORY_MB_PER_NODE


def node_exporter(jobs: Sequence[Activity], uptime: float) -> Iterator[Metric]:
    """Yield the little of node_exporter that the service reads; its CPUs are busy with the jobs alone."""
    busy = {core: job.behaviour.cpu * job.elapsed for job in jobs for core in job.share.cpus}
    seconds = CounterMetricFamily("node_cpu_seconds", "CPU time by mode", labels=("cpu", "mode"))
    for core in range(CPUS_PER_NODE):
        seconds.add_metric((str(core), "user"), busy.get(core, 0.0))
        seconds.add_metric((str(core), "idle"), max(0.0, uptime - busy.get(core, 0.0)))
    yield seconds
    total = MEMORY_MB_PER_NODE << 20
    used = sum(job.behaviour.rss(job.cpus) for job in jobs)
    yield GaugeMetricFamily("node_memory_MemTotal_bytes", "Memory", value=total)
    yield GaugeMetricFamily("node_memory_MemAvailable_bytes", "Available memory", value=total - used)
