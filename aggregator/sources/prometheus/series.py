"""Read the lines of a graph from Prometheus: a bounded number of range queries, whatever is asked for."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from aggregator.join.series import fold_smallest, merge_equal, unaccounted
from aggregator.model.series import Line, Lines, Offer, Span, Subject
from aggregator.sources.prometheus.client import Matcher, PrometheusClient, Series
from aggregator.sources.prometheus.exporters import (
    gpfs_exporter,
    lfs_quota_exporter,
    libvirtd_exporter,
    lustre_exporter,
    lustre_exporter_slurm,
    node_exporter,
    slurm_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.graphs import JOB, NODE, SLURM_NODE, TARGET, Graph, graph_promql, job_label
from aggregator.sources.prometheus.inputs import ExporterSettings, plausible
from aggregator.sources.prometheus.nodes import NodeNames, one_of

# Job ids, or nodes, that one expression names: its length and cost stay bounded.
BATCH: Final = 100
# Where two exporters offer a graph of the same name, the first that is in use has it.
GRAPHS: Final[Mapping[str, Sequence[Graph]]] = {
    "slurm_job_exporter": slurm_job_exporter.GRAPHS,
    "lustre_exporter_slurm": lustre_exporter_slurm.GRAPHS,
    "lustre_exporter": lustre_exporter.GRAPHS,
    "node_exporter": node_exporter.GRAPHS,
    "slurm_exporter": slurm_exporter.GRAPHS,
    "libvirtd_exporter": libvirtd_exporter.GRAPHS,
    "lfs_quota_exporter": lfs_quota_exporter.GRAPHS,
    "gpfs_exporter": gpfs_exporter.GRAPHS,
}
# One query: what it asks, and when.
_Query = tuple[str, Span]


class PrometheusSeries:
    """The graphs of one cluster, from those of its exporters that are in use."""

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        nodes: NodeNames,
        cluster: str = "",
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._matchers = matchers
        self._exporters = exporters
        self._nodes = nodes

    def offers(self, subject: str) -> Mapping[str, Offer]:
        """Give the graphs that may be asked of a kind of subject ("job", "user" …), by name."""
        found: dict[str, Offer] = {}
        for exporter, settings in self._in_use():
            for graph in _of(subject, exporter):
                offer = Offer(
                    name=graph.name, help=graph.help, unit=graph.unit, exporter=exporter, interval=settings.interval,
                    of_nodes=subject == "job" and graph.by[subject] == NODE,
                )  # fmt: skip
                found.setdefault(graph.name, offer)
        return found

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give the exporter that a graph would need, by the name of each graph that is not offered."""
        offered = self.offers(subject)
        every = {graph.name: exporter for exporter in GRAPHS for graph in _of(subject, exporter)}
        return {name: exporter for name, exporter in every.items() if name not in offered}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Read one graph of a subject over a span.

        An answer that is not whole is shown with the engine's warnings, of which there may be one for each query.
        Raises FetchError when a query fails: lines with holes would look as if nothing had run.
        """
        exporter, graph = self._find(kind, name)
        answer = await self._read(kind, exporter, graph, subject, span)
        lines = list(answer.lines)
        rest: list[Line] = []
        warnings = answer.warnings
        if graph.whole:
            whole = await self._read(kind, *self._find(kind, graph.whole), subject, span)
            rest = unaccounted(lines, whole.lines, graph.folded)
            warnings = tuple(dict.fromkeys((*warnings, *whole.warnings)))
        if graph.top:
            lines = fold_smallest(lines, graph.folded, graph.top)
        return Lines(lines=(*lines, *rest), queries=answer.queries, warnings=warnings, rejected=answer.rejected)

    def _in_use(self) -> Iterator[tuple[str, ExporterSettings]]:
        return ((exporter, self._exporters[exporter]) for exporter in GRAPHS if exporter in self._exporters)

    def _find(self, subject: str, name: str) -> tuple[str, Graph]:
        exporter = self.offers(subject)[name].exporter
        return exporter, next(graph for graph in _of(subject, exporter) if graph.name == name)

    async def _read(self, kind: str, exporter: str, graph: Graph, subject: Subject, span: Span) -> Lines:
        settings = self._exporters[exporter]
        expressions = [
            graph_promql(graph, self._matchers, picked, settings, self._nodes.label, span.step, self._cluster)
            for picked in self._picked(graph, kind, subject, settings)
        ]
        queries = [(expression, chunk) for expression in expressions for chunk in span.chunks()]
        answers = await asyncio.gather(*map(self._ask, queries))
        rejected: Counter[str] = Counter()
        lines = merge_equal(self._line(graph, series, settings, rejected) for found, _ in answers for series in found)
        warnings = dict.fromkeys(f"not all data: {warning[:300]}" for _, said in answers for warning in said)
        return Lines(
            # Nothing but gaps is no line: an account with an infinite level, a GPU of which DCGM knows nothing.
            lines=tuple(line for line in lines if line.points),
            queries=tuple(expressions),
            warnings=tuple(warnings),
            rejected=rejected,
        )

    async def _ask(self, query: _Query) -> tuple[Sequence[Series], Sequence[str]]:
        expression, span = query
        return await self._client.query_range_with_warnings(expression, span.start, span.end, span.step)

    def _picked(
        self, graph: Graph, kind: str, subject: Subject, settings: ExporterSettings
    ) -> Iterator[tuple[Matcher, ...]]:
        """Give the matchers of each query: one for every BATCH jobs or nodes."""
        by = graph.by[kind]
        if by == JOB:
            label = job_label(graph, settings)
            for ids in _batches(list(map(str, subject.jobs))):
                yield (one_of(label, ids),)
        elif by == NODE:
            for nodes in _batches(subject.nodes):
                yield (self._nodes.matcher(nodes),)
        elif by == TARGET:
            name = re.escape(dict(subject.labels)["filesystem"])
            yield ((settings.labels.get("target", "target"), "=~", f"{name}-(OST|MDT).*"),)
        elif by == SLURM_NODE:
            for nodes in _batches(subject.nodes):
                yield (one_of(settings.labels.get("node", "node"), nodes),)
        else:
            labels = (*((label, (value,)) for label, value in subject.labels), *subject.any_of)
            yield tuple(one_of(settings.label(label), values) for label, values in labels)

    def _line(self, graph: Graph, series: Series, settings: ExporterSettings, rejected: Counter[str]) -> Line:
        """Read one series: base units, Slurm's node names, our label names; values that cannot be are gaps."""
        points = []
        for time, text in series.values:
            value = plausible(graph, text)
            if value is None:
                rejected[f"{graph.name} out of range"] += 1
            else:
                points.append((time, value))
        return Line(self._labels(graph, series.metric, settings), tuple(points))

    def _labels(self, graph: Graph, found: Mapping[str, str], settings: ExporterSettings) -> Mapping[str, str]:
        own = {stored: name for name, stored in settings.labels.items()}
        own[job_label(graph, settings)] = "slurmjobid"
        labels = {own.get(name, name): value for name, value in found.items() if name != self._nodes.label}
        if self._nodes.label in found:
            labels["node"] = self._nodes.normalize(found[self._nodes.label])
        return labels


def _of(subject: str, exporter: str) -> Iterable[Graph]:
    return (graph for graph in GRAPHS[exporter] if subject in graph.by)


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))
