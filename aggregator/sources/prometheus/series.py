"""Read the lines of a graph from Prometheus: a bounded number of range queries, whatever is asked for."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from aggregator.join.series import fold_smallest, left_of, merge_equal, moment, unaccounted, without
from aggregator.model.series import Line, Lines, Offer, Span, Subject
from aggregator.sources.prometheus import graphs
from aggregator.sources.prometheus.client import Matcher, PrometheusClient, Series, quote, selector
from aggregator.sources.prometheus.exporters import (
    aggregator,
    gpfs_exporter,
    lfs_quota_exporter,
    libvirtd_exporter,
    lustre_exporter,
    lustre_exporter_slurm,
    node_exporter,
    pcm_sensor_server,
    slurm_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.graphs import (
    CLUSTER,
    JOB,
    NODE,
    OUR_CLUSTER,
    OURS,
    SLURM_NODE,
    TARGET,
    Graph,
    Source,
    graph_promql,
)
from aggregator.sources.prometheus.inputs import ExporterSettings, plausible
from aggregator.sources.prometheus.nodes import NodeNames, one_of

# Job ids, or nodes, that one expression names: its length and cost stay bounded.
BATCH: Final = 100
# What this service itself has recorded, by way of the Prometheus that scrapes it.
OWN: Final = "hpc_aggregator"
# Where two exporters offer a graph of the same name, the first that is in use has it.
GRAPHS: Final[Mapping[str, Sequence[Graph]]] = {
    "slurm_job_exporter": slurm_job_exporter.GRAPHS,
    OWN: aggregator.GRAPHS,
    "pcm_sensor_server": pcm_sensor_server.GRAPHS,
    "lustre_exporter_slurm": lustre_exporter_slurm.GRAPHS,
    "lustre_exporter": lustre_exporter.GRAPHS,
    "node_exporter": node_exporter.GRAPHS,
    "slurm_exporter": slurm_exporter.GRAPHS,
    "libvirtd_exporter": libvirtd_exporter.GRAPHS,
    "lfs_quota_exporter": lfs_quota_exporter.GRAPHS,
    "gpfs_exporter": gpfs_exporter.GRAPHS,
}
T = TypeVar("T")


class _Asked(NamedTuple):
    """A graph of a subject, what picks the subject's series, and how the graph's exporter is scraped."""

    graph: Graph
    by: str
    subject: Subject
    settings: ExporterSettings


class _Answer(NamedTuple):
    """The series that came, and what is wrong with them."""

    series: Sequence[Series]
    warnings: Sequence[str]


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
        """Take the exporters in use by name, OWN among them; cluster is its name on this service's own gauges."""
        self._client = client
        self._matchers = matchers
        self._exporters = exporters
        self._nodes = nodes
        self._cluster = cluster

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
        return replace(answer, lines=(*lines, *rest), warnings=warnings)

    def _in_use(self) -> Iterator[tuple[str, ExporterSettings]]:
        return ((exporter, self._exporters[exporter]) for exporter in GRAPHS if exporter in self._exporters)

    def _find(self, subject: str, name: str) -> tuple[str, Graph]:
        exporter = self.offers(subject)[name].exporter
        return exporter, next(graph for graph in _of(subject, exporter) if graph.name == name)

    async def _read(self, kind: str, exporter: str, graph: Graph, subject: Subject, span: Span) -> Lines:
        """Ask each source of a graph for the time in which those before it were not there."""
        settings = self._exporters[exporter]
        if graph.is_ours:
            # Our own gauges carry our names, whatever the exporter's are stored under.
            settings = replace(settings, labels={})
        asked = _Asked(graph, graph.by[kind], subject, settings)
        relabel = settings.relabelled if exporter != OWN else str
        known, left = set[int](), span
        found: list[Line] = []
        queries: list[str] = []
        warnings: dict[str, None] = {}
        rejected: Counter[str] = Counter()
        for source in (*graph.first, graph.last):
            if source == graph.last and exporter == OWN and not graph.is_ours:
                # These are the exporter's own series, which may be scraped more often than we refresh.
                asked = asked._replace(settings=self._exporters.get("slurm_job_exporter", settings))
            expressions = list(self._write(source.relabelled(relabel), asked, span.step))
            answer, present = await asyncio.gather(
                self._ask(expressions, left), self._moments(source.present, asked, left)
            )
            lines = merge_equal(self._line(graph, series, settings, rejected) for series in answer.series)
            found += without(lines, known)
            queries += expressions
            warnings.update(dict.fromkeys(answer.warnings))
            known |= present
            rest = left_of(span, known)
            if rest is None:
                break
            left = rest
        # Nothing but gaps is no line: an account with an infinite level, a GPU of which DCGM knows nothing.
        shown = tuple(line for line in merge_equal(found) if line.points)
        return Lines(lines=shown, queries=tuple(queries), warnings=tuple(warnings), rejected=rejected)

    async def _ask(self, expressions: Sequence[str], span: Span) -> _Answer:
        """Ask for each expression over a span, in chunks that Prometheus answers."""
        answers = await asyncio.gather(
            *(
                self._client.query_range_with_warnings(expression, chunk.start, chunk.end, chunk.step)
                for expression in expressions
                for chunk in span.chunks()
            )
        )
        said = dict.fromkeys(f"not all data: {warning[:300]}" for _, warnings in answers for warning in warnings)
        return _Answer([series for found, _ in answers for series in found], tuple(said))

    async def _moments(self, present: str, asked: _Asked, span: Span) -> set[int]:
        """Find out when a source was there."""
        if not present:
            return set()
        answer = await self._ask(list(self._write(Source(present), asked, span.step)), span)
        return {moment(time) for series in answer.series for time, _ in series.values}

    def _write(self, source: Source, asked: _Asked, step: float) -> Iterator[str]:
        """Write an expression once for every BATCH jobs or nodes."""
        for part in _parts(asked.by, asked.subject):
            nodes = quote(self._nodes.capture(part.nodes)) if part.nodes else '""'

            def select(series: graphs.Series, part: Subject = part) -> str:
                return self._select(series, asked, part)

            yield graph_promql(asked.graph, source, select, asked.settings, self._nodes.label, step, nodes)

    def _select(self, series: graphs.Series, asked: _Asked, part: Subject) -> str:
        by = series.by or asked.by
        if by in (OURS, OUR_CLUSTER):
            picked = _picked(part, by, ExporterSettings())
            return selector(series.metric, {"cluster": self._cluster}, *picked, *series.matchers)
        owner = self._exporters.get(series.exporter, asked.settings)
        if by in (NODE, SLURM_NODE):
            names = replace(self._nodes, label=owner.label("node")) if by == SLURM_NODE else self._nodes
            picked = (names.matcher(part.nodes),)
        else:
            picked = _picked(part, by, owner, asked.graph.job_label)
        here = (owner.matchers[series.at],) if series.at else ()
        own = map(owner.matcher, series.matchers)
        return selector(owner.metrics.get(series.metric, series.metric), self._matchers, *picked, *own, *here)

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
        own[settings.label(graph.job_label)] = "slurmjobid"
        labels = {own.get(name, name): value for name, value in found.items() if name != self._nodes.label}
        told = settings.label("node")
        if (name := found.get(self._nodes.label, found.get(told))) is not None:
            labels["node"] = self._nodes.normalize(name)
        return labels


def _picked(part: Subject, by: str, settings: ExporterSettings, job_label: str = "slurmjobid") -> tuple[Matcher, ...]:
    """Match what picks the subject's series, as an exporter's settings name it; nothing of it for a whole cluster."""
    if by in (CLUSTER, OUR_CLUSTER):
        return ()
    if by == TARGET:
        name = re.escape(dict(part.labels)["filesystem"])
        return ((settings.label("target"), "=~", f"{name}-(OST|MDT).*"),)
    jobs = (one_of(settings.label(job_label), list(map(str, part.jobs))),) if part.jobs else ()
    # Who had the same job id before: series without the label are taken.
    others = ((settings.label("user"), "!~", "|".join(map(re.escape, part.not_of))),) if part.not_of else ()
    labels = (*((name, (value,)) for name, value in part.labels), *part.any_of)
    return (*jobs, *others, *(one_of(settings.label(name), values) for name, values in labels))


def _parts(by: str, subject: Subject) -> Iterator[Subject]:
    """Cut a subject into parts of at most BATCH jobs or nodes."""
    if by == JOB:
        yield from (replace(subject, jobs=tuple(ids)) for ids in _batches(subject.jobs))
    elif by in (NODE, SLURM_NODE):
        yield from (replace(subject, nodes=tuple(nodes)) for nodes in _batches(subject.nodes))
    else:
        yield subject


def _of(subject: str, exporter: str) -> Iterable[Graph]:
    return (graph for graph in GRAPHS[exporter] if subject in graph.by)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))
