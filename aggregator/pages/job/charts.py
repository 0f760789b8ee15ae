"""The charts of a run, on one axis of time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from aggregator.api.series_representation import DrawnGraph
from aggregator.model.series import Line
from aggregator.pages.chart import Lane, Plateau, Trace, lane_chart
from aggregator.pages.figure import Canvas, Figure, added, base_of, canvas_of, spread, step_of, writer
from aggregator.pages.language import Language
from aggregator.sources.base import FetchError

Row = Mapping[str, Any]
Graphs = Mapping[str, DrawnGraph | FetchError]
GRAPHS: Final = ("cpu", "memory", "lustre_bandwidth")
OF_GPUS: Final = ("gpu_utilization", "gpu_sm_occupancy", "gpu_memory", "gpu_memory_total", "gpu_power")
# A node is idle that never keeps this share of its CPUs busy.
_IDLE: Final = 0.05
_MOST_LANES: Final = 24


def figures_of(run: Row, graphs: Graphs, language: Language) -> list[Figure]:
    """Draw what there is of a run; a graph that cannot be read says why."""
    canvas = canvas_of((each for each in graphs.values() if isinstance(each, DrawnGraph)), language)
    return list(_figures(run, graphs, canvas, language))


def graphs_of(run: Row) -> Sequence[str]:
    """Name the graphs that are drawn of a run."""
    return (*GRAPHS, *OF_GPUS) if run["granted_gpus"] else GRAPHS


def _figures(run: Row, graphs: Graphs, canvas: Canvas | None, _: Language) -> Iterator[Figure]:
    occupancy, sizes = _lines_of(graphs, "gpu_sm_occupancy"), _lines_of(graphs, "gpu_memory_total")
    draw: Sequence[tuple[str, str, Callable[[Row, DrawnGraph, Canvas], Figure]]] = (
        ("cpu", _("CPU"), _cpu), ("memory", _("Memory"), _memory),
        ("gpu_utilization", _("GPU utilisation"), partial(_lanes, occupancy=occupancy)),
        ("gpu_memory", _("GPU memory"), partial(_gpu_memory, sizes=sizes)), ("lustre_bandwidth", "Lustre", _lustre),
    )  # fmt: skip
    for name, title, make in draw:
        drawn = graphs.get(name)
        if drawn is None:
            continue
        if isinstance(drawn, FetchError):
            yield Figure(title=title, missing=str(drawn))
        elif canvas is None or (not drawn.lines and name != "gpu_utilization"):
            yield Figure(title=title, missing=_("Nothing was observed."), warnings=drawn.warnings)
        else:
            yield make(run, drawn, canvas)
    power = graphs.get("gpu_power")
    if isinstance(power, DrawnGraph) and power.lines and canvas:
        yield _power(power, graphs.get("gpu_utilization"), canvas)


def _lines_of(graphs: Graphs, name: str) -> Sequence[Line]:
    """Give the lines of a graph that is shown in another's chart; none where it is not there or cannot be read."""
    drawn = graphs.get(name)
    return drawn.lines if isinstance(drawn, DrawnGraph) else ()


def _node(line: Line) -> str:
    return line.labels.get("node", "")


def _cpu(run: Row, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    _ = canvas.language
    traces, band = spread(drawn.lines, _node)
    held = run["granted_cpus"] / max(1, run["granted_nodes"])
    idle = sorted(
        _node(line) for line in drawn.lines if max((value for _, value in line.points), default=0) < _IDLE * held
    )
    note = (
        _("busy CPUs; dashed: allocated") if len(drawn.lines) == 1 else _("busy CPUs of each node; dashed: allocated")
    )
    if band:
        note = _.ngettext(
            "busy CPUs: mean of %(n)s node, shaded from the least to the most; dashed: allocated",
            "busy CPUs: mean of %(n)s nodes, shaded from the least to the most; dashed: allocated", len(drawn.lines),
        )  # fmt: skip
    if idle and len(drawn.lines) > 1:
        names = canvas.numbers.listed(idle)
        note = "; ".join(
            (
                note,
                _.ngettext("%(n)s node is idle: %(names)s", "%(n)s nodes are idle: %(names)s", len(idle), names=names),
            )
        )
    title = _("CPU")
    drawing = canvas.lines(title, note, traces, step_of(drawn), canvas.numbers.number, [Plateau(held)], band)
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _memory(run: Row, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    _ = canvas.language
    resident = [line for line in drawn.lines if line.labels.get("kind") == "rss"]
    traces, band = spread(resident, _node)
    limits = [value for line in drawn.lines if line.labels.get("kind") == "limit" for _, value in line.points]
    peaks = [value for line in drawn.lines if line.labels.get("kind") == "max" for _, value in line.points]
    levels = [*([Plateau(max(limits))] if limits else []), *([Plateau(max(peaks), "peak")] if peaks else [])]
    note = _("resident, without page cache; dotted: peak; dashed: limit")
    if len(resident) > 1:
        note = _("resident on each node, without page cache; dotted: highest peak; dashed: limit")
    title = _("Memory")
    drawing = canvas.lines(title, note, traces, step_of(drawn), canvas.numbers.size, levels, band, base_of("bytes"))
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _device(line: Line) -> tuple[str, str]:
    return _node(line), line.labels.get("gpu", "")


def _name(line: Line, several: bool) -> str:
    """Name a GPU, where there are several nodes by its node."""
    node, device = _device(line)
    return f"{node}:{device}" if several else f"GPU {device}"


def _lanes(run: Row, drawn: DrawnGraph, canvas: Canvas, occupancy: Sequence[Line] = ()) -> Figure:
    """Draw a lane for each GPU, and the occupancy of its SMs below; those that have no series are lanes with words."""
    _, several = canvas.language, len({_node(line) for line in drawn.lines}) > 1
    # The least used first, where not all can be shown.
    lines = sorted(drawn.lines, key=lambda line: line.mean or 0.0)[:_MOST_LANES]
    unseen = max(0, run["granted_gpus"] - len(drawn.lines))
    is_judged = run["gpus_judged"] is not None and run["gpus_judged"] >= run["granted_gpus"]
    words = _("no process has opened it") if is_judged else _("not observed")
    below = {_device(line): line.points for line in occupancy}
    lanes = [
        Lane(_name(line, several), line.points, below=below.get(_device(line), ()))
        for line in sorted(lines, key=_device)
    ]
    shown = min(unseen, max(0, _MOST_LANES - len(lanes)))
    lanes += [Lane("GPU", words=words, is_bad=is_judged) for _n in range(shown)]
    note = (
        _("by node and device; the stronger the colour, the more")
        if several
        else _("by device; the stronger the colour, the more")
    )
    if known := [line.mean for line in occupancy if line.mean is not None]:
        share = canvas.numbers.percent(sum(known) / len(known))
        note = "; ".join((note, _("strip below: occupancy of its SMs, mean %(share)s", share=share)))
    if (left := len(drawn.lines) + unseen - len(lanes)) > 0:
        note = "; ".join(
            (note, _.ngettext("%(n)s that is used more is left out", "%(n)s that are used more are left out", left))
        )
    title = _("GPU utilisation")
    drawing = lane_chart(canvas.times(step_of(drawn)), lanes, label=f"{title}: {note}", clock=canvas.clock)
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _gpu_memory(run: Row, drawn: DrawnGraph, canvas: Canvas, sizes: Sequence[Line] = ()) -> Figure:
    _ = canvas.language
    traces, band = spread(drawn.lines, lambda line: f"GPU {line.labels.get('gpu', '')}")
    note = _("used on each GPU") if band is None else _("mean of all GPUs, shaded from the least to the most")
    # GPUs of one job may differ.
    found = {value for line in sizes for _at, value in line.points[-1:]}
    if found:
        note = "; ".join((note, _("dashed: its size")))
    title = _("GPU memory")
    drawing = canvas.lines(
        title, note, traces, step_of(drawn), canvas.numbers.size, [Plateau(size) for size in sorted(found)], band,
        base_of("bytes"),
    )  # fmt: skip
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _lustre(run: Row, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    _ = canvas.language
    sums = added(drawn.lines, lambda line: line.labels.get("direction", ""))
    traces = [
        Trace(sums[name], f"line l{number}", words)
        for number, (name, words) in enumerate((("read", _("read")), ("write", _("written"))))
        if name in sums
    ]
    systems = sorted({line.labels.get("filesystem", "") for line in drawn.lines} - {""})
    note = _("read, and dashed written: %(names)s", names=canvas.numbers.listed(systems))
    if run["lustre_metadata_operations_per_second"] is not None:
        note += "; " + _("now %(n)s metadata operations per second",
                         n=canvas.numbers.number(run["lustre_metadata_operations_per_second"]))  # fmt: skip
    drawing = canvas.lines("Lustre", note, traces, step_of(drawn), writer("bytes per second", canvas.numbers))
    return Figure(title="Lustre", note=note, drawn=drawing, warnings=drawn.warnings)


def _power(drawn: DrawnGraph, utilised: DrawnGraph | FetchError | None, canvas: Canvas) -> Figure:
    """Draw the power of the GPUs, and in it that of what was not utilised."""
    _ = canvas.language
    total = added(drawn.lines, lambda line: "all")["all"]
    used = {_device(line): dict(line.points) for line in utilised.lines} if isinstance(utilised, DrawnGraph) else {}
    idle = [
        Line(line.labels, tuple((at, watts * (1 - min(1.0, busy))) for at, watts in line.points
                                if (busy := used.get(_device(line), {}).get(at)) is not None))
        for line in drawn.lines
    ]  # fmt: skip
    lost = added(idle, lambda line: "all").get("all", [])
    traces = [
        Trace(total, "area", is_area=True), *([Trace(lost, "waste", is_area=True)] if lost else []),
        Trace(total, "line l0", _("power")),
    ]  # fmt: skip
    note = _("of its GPUs; red: in proportion to what was not utilised") if lost else _("of its GPUs")
    title = _("Power")
    return Figure(
        title=title, note=note, drawn=canvas.lines(title, note, traces, step_of(drawn), canvas.numbers.watts),
        warnings=drawn.warnings,
    )  # fmt: skip
