"""Lines over time of a synthetic cluster's jobs, as Prometheus would give them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from aggregator.model.lustre import Kind
from aggregator.model.series import Line, Lines, Offer, Span, Subject
from aggregator.model.use import Gpu
from aggregator.sources.prometheus.exporters import lustre_exporter, slurm_job_exporter
from aggregator.sources.prometheus.series import OWN
from aggregator.sources.synthetic.cluster import SyntheticCluster
from aggregator.sources.synthetic.lustre import run_rates
from aggregator.sources.synthetic.scheduler import LiveRun
from aggregator.sources.synthetic.sums_series import sums_graphs, sums_lines
from aggregator.sources.synthetic.use import NodeUse, gpus_of, node_uses

_INTERVAL: Final = 30.0
_GRAPHS: Final = {"slurm_job_exporter": slurm_job_exporter.GRAPHS, "lustre_exporter": lustre_exporter.GRAPHS}
_NODES: Final[Mapping[str, Callable[[NodeUse], float]]] = {
    "cpu": lambda use: use.cpus,
    "threads": lambda use: use.threads,
}
_GPUS: Final[Mapping[str, Callable[[Gpu], float | None]]] = {
    "gpu_utilization": lambda gpu: gpu.utilization,
    "gpu_memory": lambda gpu: gpu.memory_bytes,
}
_LUSTRE: Final = "lustre_bandwidth"
# label values, the value at that time
_Values = Iterator[tuple[Mapping[str, str], float]]


class SyntheticSeries:
    """CPU, memory, threads and GPUs of the synthetic jobs, an hour back for those that have ended."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster

    def offers(self, subject: str) -> Mapping[str, Offer]:
        """Give the graphs that the model knows of a job, and of what jobs add up to."""
        known = {*_NODES, *_GPUS, _LUSTRE, "memory"} if subject == "job" else set()
        of_jobs = [(exporter, each) for exporter, graphs in _GRAPHS.items() for each in graphs if each.name in known]
        return {
            graph.name: Offer(
                name=graph.name, help=graph.help, unit=graph.unit, exporter=exporter, interval=_INTERVAL
            )
            for exporter, graph in (*of_jobs, *((OWN, each) for each in sums_graphs(subject)))
        }  # fmt: skip

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give those that it does not know: no exporter would help."""
        return {}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Compute the lines of the jobs, or of what they add up to."""
        if kind != "job":
            runs = self._cluster.ran_since(span.start)
            # A second or two for an hour of the whole cluster.
            return Lines(lines=tuple(await asyncio.to_thread(sums_lines, kind, name, runs, subject, span)))
        wanted = frozenset(subject.jobs)
        points: defaultdict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        for live in self._cluster.ran_since(span.start):
            if live.run.job_id not in wanted:
                continue
            for time in _times(live, span):
                for labels, value in _values(name, live, time):
                    points[tuple(labels.items())].append((time, value))
        return Lines(lines=tuple(Line(dict(labels), tuple(found)) for labels, found in points.items()))


def _times(live: LiveRun, span: Span) -> Iterable[float]:
    begin, end = live.run.start or span.start, live.run.end or span.end
    times = (span.start + index * span.step for index in range(span.points))
    return (time for time in times if begin + _INTERVAL <= time <= end)


def _values(name: str, live: LiveRun, time: float) -> _Values:
    job = {"slurmjobid": str(live.run.job_id)}
    if name in _GPUS:
        for gpu in gpus_of(live, time):
            if (value := _GPUS[name](gpu)) is not None:
                yield {**job, "node": gpu.node, "gpu": gpu.index}, value
        return
    if name == _LUSTRE:
        yield from _bandwidth(live, job, time)
        return
    for use in node_uses(live, time):
        labels = {**job, "node": use.node}
        if name == "memory":
            yield {**labels, "kind": "rss"}, use.memory_bytes
            yield {**labels, "kind": "max"}, use.memory_peak_bytes
        else:
            yield labels, _NODES[name](use)


def _bandwidth(live: LiveRun, job: Mapping[str, str], time: float) -> _Values:
    kinds: tuple[Kind, ...] = ("read", "write")
    for kind in kinds:
        for filesystem, rate in run_rates(live, kind, time).items():
            yield {**job, "filesystem": filesystem, "direction": kind}, rate
