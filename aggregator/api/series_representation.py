"""How graphs look in JSON: as a Prometheus matrix."""

from dataclasses import dataclass
from typing import Literal, TypedDict

from aggregator.api.answer import Period
from aggregator.api.representation import Json, times
from aggregator.model.series import AvailableGraph, Line, Span


class GraphShown(TypedDict):
    """A graph that can be asked for."""

    metric: str
    help: str
    unit: str
    exporter: str
    of_nodes: bool


class LineShown(TypedDict):
    """A line, and what people ask of it."""

    metric: dict[str, str]
    values: list[tuple[float, str]]
    mean: float | None
    min: float | None
    max: float | None
    last: float | None


class MatrixShown(GraphShown, Period):
    """The lines of a graph, as Prometheus answers them."""

    queries: list[str]
    step_seconds: float | None
    resultType: Literal["matrix"]
    result: list[LineShown]


class GraphsShown(TypedDict):
    """The graphs that there are."""

    metrics: list[GraphShown]


@dataclass(frozen=True, slots=True)
class DrawnGraph:
    """A graph: its lines in a time, the queries that were asked, and what is missing."""

    graph: AvailableGraph
    span: Span | None = None
    lines: tuple[Line, ...] = ()
    queries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def graph_json(graph: AvailableGraph) -> Json:
    """Show a graph that may be asked for."""
    return {
        "metric": graph.name, "help": graph.help, "unit": graph.unit, "exporter": graph.exporter,
        "of_nodes": graph.of_nodes,
    }  # fmt: skip


def drawn_json(drawn: DrawnGraph) -> Json:
    """Show a graph with its lines."""
    span = drawn.span
    return {
        **graph_json(drawn.graph),
        "queries": list(drawn.queries),
        "step_seconds": span.step if span else None,
        **times("start", span.start if span else None),
        **times("end", span.end if span else None),
        "resultType": "matrix",
        "result": [_line_json(line) for line in drawn.lines],
    }


def _line_json(line: Line) -> Json:
    """Show one line as Prometheus does, and what people ask of it."""
    values = [value for _, value in line.points]
    return {
        "metric": dict(sorted(line.labels.items())),
        "values": [(time, repr(value)) for time, value in line.points],
        "mean": line.mean,
        "min": min(values, default=None),
        "max": max(values, default=None),
        "last": values[-1] if values else None,
    }
