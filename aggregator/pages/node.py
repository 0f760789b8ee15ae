"""GET /ui/clusters/{cluster}/nodes/{node}: one node, what runs on it, and how it has been."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aggregator.api.nodes import node_scene, read_node, read_node_events
from aggregator.api.parameters import Parameters
from aggregator.api.route import Parameter
from aggregator.api.series import draw_scene
from aggregator.api.series_representation import DrawnGraph
from aggregator.model.series import Line
from aggregator.pages.attempt import attempt
from aggregator.pages.chart import Lane, bar, lane_chart
from aggregator.pages.figure import Canvas, Figure, base_of, canvas_of, spread, step_of, writer
from aggregator.pages.language import Language
from aggregator.pages.nodes import look_of
from aggregator.pages.numbers import Numbers, plain
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.sources.base import FetchError

_REFRESH_SECONDS: Final = 60
GRAPHS: Final = ("node_busy_cpus", "node_memory", "gpu_utilization", "gpu_power", "scratch", "load")
_START: Final = Parameter(name="start", help="Begin of the charts.", kind="time")
_END: Final = Parameter(name="end", help="End of the charts.", kind="time")
_MOST_EVENTS: Final = 50
# Labels that tell the lines of a node from each other.
_NAMED: Final = ("kind", "gpu", "minutes", "mountpoint", "device")


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read what is known of a node."""
    request, _ = visit.request, visit.language
    node, warnings = await read_node(request)
    scene, _sees_all = node_scene(request)
    drawn, events = await asyncio.gather(
        attempt(draw_scene(request, scene, GRAPHS, Parameters(request))), attempt(read_node_events(request))
    )
    figures = list(_figures(drawn.value or {}, _))
    return {
        "node": node,
        "look": look_of(node["state"]),
        "bars": _bars(node, _),
        "figures": figures,
        "events": events.value[0]["events"][:_MOST_EVENTS] if events.value else [],
        "events_failure": events.failure,
        "warnings": [*warnings, *([drawn.failure] if drawn.failure else [])],
        "refresh": _REFRESH_SECONDS,
        "charted": bool(figures),
        "is_zoomed": bool(request.query.keys() & {"start", "end"}),
    }


def _bars(node: Mapping[str, Any], _: Language) -> Sequence[Mapping[str, Any]]:
    """Give what of the node is held by jobs, and what is used of it."""
    numbers = Numbers(_)
    rows = (
        (_("CPUs"), "allocated_cpus", "busy_cpus", "cpus", numbers.number),
        (_("Memory"), "allocated_memory_bytes", "memory_used_bytes", "memory_bytes", numbers.size),
        (_("GPUs"), "slurmctld_allocated_gpus", "used_gpus", "gpus", numbers.number),
        (_("Local scratch"), None, "scratch_used_bytes", "scratch_bytes", numbers.size),
    )
    found = []
    for name, held, used, whole, write in rows:
        size = node[whole]
        if size is None and node[used] is None:
            continue
        ratio = node[used] / size if size and node[used] is not None else None
        share = numbers.percent(ratio)
        found.append({
            "name": name, "held": write(node[held]) if held else "", "used": write(node[used]), "whole": write(size),
            "share": share, "bar": bar(ratio, "", f"{name}: {plain(share)}"),
        })  # fmt: skip
    return found


def _figures(graphs: Mapping[str, DrawnGraph | FetchError], _: Language) -> Iterator[Figure]:
    canvas = canvas_of((each for each in graphs.values() if isinstance(each, DrawnGraph)), _)
    titles = {
        "node_busy_cpus": _("Busy CPUs"), "node_memory": _("Memory"), "gpu_utilization": _("GPU utilisation"),
        "gpu_power": _("GPU power"), "scratch": _("Local scratch"), "load": _("Load"),
    }  # fmt: skip
    for name, drawn in graphs.items():
        if isinstance(drawn, FetchError):
            yield Figure(title=titles[name], missing=str(drawn))
        elif canvas and drawn.lines:
            draw = _lanes if name == "gpu_utilization" else _lines
            yield draw(titles[name], drawn, canvas)


def _lines(title: str, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    traces, band = spread(drawn.lines, _name)
    names = [each.name for each in traces if each.name]
    note = canvas.numbers.listed(names, len(names)) if len(names) > 1 else ""
    unit = drawn.graph.unit
    write, base = writer(unit, canvas.numbers), base_of(unit)
    drawing = canvas.lines(title, note, traces, step_of(drawn), write, band=band, base=base)
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _name(line: Line) -> str:
    return " ".join(line.labels[name] for name in _NAMED if name in line.labels)


def _lanes(title: str, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    lanes = [Lane(f"GPU {line.labels.get('gpu', '')}", line.points) for line in drawn.lines]
    note = canvas.language("by device; the darker, the more")
    drawing = lane_chart(canvas.times(step_of(drawn)), lanes, label=f"{title}: {note}", clock=canvas.clock)
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


PAGE: Final = WebPage(
    path="/ui/clusters/{cluster}/nodes/{node}", template="node.html", read=read, parameters=(_START, _END)
)
