"""Lines over time of a synthetic cluster's jobs, nodes, users and file systems, as Prometheus would give them."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aggregator import executors
from aggregator.model.series import AvailableGraph, Line, Lines, Span, Subject
from aggregator.sources.prometheus.catalogue import OWN
from aggregator.sources.prometheus.exporters import aggregator, lustre_exporter, node_exporter, slurm_job_exporter
from aggregator.sources.prometheus.expression import Graph
from aggregator.synthetic import curves
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.curves import Curve, Table
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.hosts import HOST_GRAPHS, host_points
from aggregator.synthetic.liverun import LiveRun

_INTERVAL: Final = 30.0
_GRAPHS: Final[Mapping[str, Sequence[Graph]]] = {
    "slurm_job_exporter": slurm_job_exporter.GRAPHS, "lustre_exporter": lustre_exporter.GRAPHS,
    OWN: aggregator.GRAPHS, "node_exporter": node_exporter.GRAPHS,
}  # fmt: skip
_TABLES: Final[Mapping[str, Table]] = {
    "job": curves.OF_RUN, "node": curves.OF_RUN_BY_NODE, "software": curves.OF_SOFTWARE,
    "filesystem": curves.OF_FILESYSTEM,
}  # fmt: skip
# A line's labels, in order.
_Labels = tuple[tuple[str, str], ...]


class SyntheticSeries:
    """What the synthetic jobs did, a day back for those that have ended."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._exporters = Exporters(cluster)

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that the model knows of a kind of subject."""
        known = {*_TABLES.get(subject, curves.SUMS), *(HOST_GRAPHS if subject == "node" else ())}
        return {
            graph.name: AvailableGraph(
                name=graph.name, help=graph.help, unit=graph.unit, exporter=exporter, interval=_INTERVAL
            )
            for exporter, graphs in _GRAPHS.items()
            for graph in graphs
            if graph.name in known and subject in graph.by
        }  # fmt: skip

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give those that it does not know: no exporter would help."""
        return {}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Compute the lines, off the event loop: a day of the whole cluster takes a moment."""
        # Nothing is known of before the cluster began, nor of times to come.
        first, last = self._cluster.since, self._cluster.time
        times = [at for index in range(span.points) if first <= (at := span.start + index * span.step) <= last]
        runs = self._cluster.ran_since(span.start)
        if name in HOST_GRAPHS:
            return Lines(lines=await executors.run(executors.ANSWERS, self._of_hosts, name, runs, subject.nodes, times))
        lines = await executors.run(executors.ANSWERS, self._lines, kind, name, runs, subject, times)
        return Lines(lines=tuple(Line(dict(labels), points) for labels, points in sorted(lines.items()) if points))

    def _lines(
        self, kind: str, name: str, runs: Iterable[LiveRun], subject: Subject, times: Sequence[float]
    ) -> Mapping[_Labels, tuple[tuple[float, float], ...]]:
        """Add up the curves of all runs that are meant, each while it ran."""
        make, chosen = _TABLES.get(kind, curves.SUMS)[name], _chooser(kind, subject)
        # Series of a job begin with the first scrape.
        late = _INTERVAL if kind in ("job", "node") else 0.0
        sums: defaultdict[_Labels, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
        for live in runs:
            begin = bisect_left(times, (live.run.start or 0.0) + late)
            present = times[begin : bisect_right(times, live.run.end) if live.run.end else None]
            for curve in make(live) if present and chosen(live) else ():
                if not _is_of(kind, curve, subject):
                    continue
                points = sums[tuple(_labels(kind, live, curve).items())]
                for at, value in zip(present, curve.values(present), strict=True):
                    points[at] += value
        silent = self._silent(times)
        return {labels: tuple(_shown(labels, points, silent)) for labels, points in sums.items()}

    def _silent(self, times: Sequence[float]) -> Mapping[float, frozenset[str]]:
        return {at: nodes for at in times if (nodes := self._exporters.silent(at))}

    def _of_hosts(
        self, name: str, runs: Sequence[LiveRun], nodes: Sequence[str], times: Sequence[float]
    ) -> tuple[Line, ...]:
        found = []
        down = {at: self._cluster.outages.down_at(at) for at in times}
        for node in nodes:
            there = [live for live in runs if node in live.run.nodes]
            known = [at for at in times if node not in down[at]]
            for labels, points in host_points(self._cluster, name, node, there, known):
                found.append(Line({"node": node, **labels}, tuple(points)))
        return tuple(found)


def _chooser(kind: str, subject: Subject) -> Callable[[LiveRun], bool]:
    """Tell of which runs a subject is."""
    jobs, nodes, labels = frozenset(subject.jobs), frozenset(subject.nodes), dict(subject.labels)
    if kind == "job":
        return lambda live: live.run.job_id in jobs
    if kind == "node":
        return lambda live: not nodes.isdisjoint(live.run.nodes)
    user, account = labels.get("user"), labels.get("account")
    return lambda live: user in (None, live.run.user) and account in (None, live.run.account)


def _is_of(kind: str, curve: Curve, subject: Subject) -> bool:
    """Tell whether one curve of a run is asked for: on one of the nodes, or of the file system."""
    if kind == "node":
        return curve.labels.get("node") in subject.nodes
    return kind != "filesystem" or ("filesystem", curve.labels["filesystem"]) in subject.labels


def _labels(kind: str, live: LiveRun, curve: Curve) -> Mapping[str, str]:
    """Give the labels of the line that a curve is part of."""
    run, own = live.run, curve.labels
    if kind in ("job", "node"):
        return {"slurmjobid": str(run.job_id), **own}
    if kind in ("user", "account") and "filesystem" in own:
        return {"account": run.account, **own} if kind == "user" else {"user": run.user, **own}
    if kind == "account" and "application" in own:
        return {"account": run.account, **own}
    if kind in ("user", "account"):
        return {"user": run.user, "account": run.account, **own}
    return {"user": own["user"]} if kind == "filesystem" and "user" in own else own


def _shown(
    labels: _Labels, points: Mapping[float, float], silent: Mapping[float, frozenset[str]]
) -> Iterator[tuple[float, float]]:
    """Leave out what a node's exporter did not show; a sum of differences is never below 0."""
    node = dict(labels).get("node")
    for at in sorted(points):
        if node is None or node not in silent.get(at, ()):
            yield at, max(0.0, points[at])
