"""Read the lines of a graph from Prometheus: a bounded number of range queries, whatever is asked for."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from aggregator.join.series import fold_smallest, left_of, merge_equal, moment, unaccounted, without
from aggregator.model.series import AvailableGraph, Line, Lines, Span, Subject
from aggregator.sources.prometheus.catalogue import GRAPHS
from aggregator.sources.prometheus.client import PrometheusClient, Series
from aggregator.sources.prometheus.expression import NODE, Expression, Graph
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.picking import Asked, Picker
from aggregator.sources.prometheus.settings import ExporterSettings


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
        self._exporters = exporters
        self._nodes = nodes
        self._picker = Picker(matchers, exporters, nodes, cluster)

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that may be asked of a kind of subject ("job", "user" …), by name."""
        found: dict[str, AvailableGraph] = {}
        for exporter, settings in self._in_use():
            for graph in _of(subject, exporter):
                available = AvailableGraph(
                    name=graph.name, help=graph.help, unit=graph.unit, exporter=exporter, interval=settings.interval,
                    of_nodes=subject == "job" and graph.by[subject] == NODE,
                )  # fmt: skip
                found.setdefault(graph.name, available)
        return found

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give the exporter that a graph would need, by the name of each graph that is not available."""
        available = self.available(subject)
        every = {graph.name: exporter for exporter in GRAPHS for graph in _of(subject, exporter)}
        return {name: exporter for name, exporter in every.items() if name not in available}

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
        exporter = self.available(subject)[name].exporter
        return exporter, next(graph for graph in _of(subject, exporter) if graph.name == name)

    async def _read(self, kind: str, exporter: str, graph: Graph, subject: Subject, span: Span) -> Lines:
        """Ask each source of a graph for the time in which those before it were not there."""
        known, left = set[int](), span
        found: list[Line] = []
        queries: list[str] = []
        warnings: dict[str, None] = {}
        rejected: Counter[str] = Counter()
        for expression in graph.sources:
            asked = Asked(expression, graph.by[kind], subject, self._settings_of(expression, exporter))
            expressions = list(self._picker.queries(asked, span.step))
            answer, present = await asyncio.gather(self._ask(expressions, left), self._moments(asked, left))
            lines = merge_equal(self._line(graph, series, asked.settings, rejected) for series in answer.series)
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

    async def _moments(self, asked: Asked, span: Span) -> set[int]:
        """Find out when an expression knows."""
        presence = asked.expression.presence
        if presence is None:
            return set()
        answer = await self._ask(list(self._picker.queries(replace(asked, expression=presence), span.step)), span)
        return {moment(time) for series in answer.series for time, _ in series.values}

    def _settings_of(self, expression: Expression, exporter: str) -> ExporterSettings:
        """Give how the exporter of an expression is scraped; our own gauges carry our names of labels."""
        settings = self._exporters.get(expression.exporter, self._exporters[exporter])
        return replace(settings, labels={}) if expression.is_ours else settings

    def _line(self, graph: Graph, series: Series, settings: ExporterSettings, rejected: Counter[str]) -> Line:
        """Read one series: base units, Slurm's node names, our label names; values that cannot be are gaps."""
        points = []
        for time, text in series.values:
            value = graph.plausible(text)
            if value is None:
                rejected[f"{graph.name} out of range"] += 1
            else:
                points.append((time, value))
        return Line(self._labels(graph, series.metric, settings), tuple(points))

    def _labels(self, graph: Graph, found: Mapping[str, str], settings: ExporterSettings) -> Mapping[str, str]:
        own = {stored: name for name, stored in settings.labels.items()}
        own[settings.label(graph.job_label)] = "slurmjobid"
        labels = {own.get(name, name): value for name, value in found.items() if name != self._nodes.label}
        if (name := found.get(self._nodes.label, found.get(settings.label("node")))) is not None:
            labels["node"] = self._nodes.normalize(name)
        return labels


def _of(subject: str, exporter: str) -> Iterable[Graph]:
    return (graph for graph in GRAPHS[exporter] if subject in graph.by)
