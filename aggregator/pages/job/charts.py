"""The charts of a run, on one axis of time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from aggregator.api.series_representation import DrawnGraph
from aggregator.model.series import Line
from aggregator.pages.chart import Lane, Plateau, Trace, lane_chart
from aggregator.pages.figure import Canvas, Figure, added, base_of, canvas_of, spread, step_of, writer
from aggregator.pages.language import Language
from aggregator.sources.base import FetchError

Row = Mapping[str, Any]
Graphs = Mapping[str, DrawnGraph | FetchError]
GRAPHS: Final = ("cpu", "memory", "gpu_utilization", "gpu_memory", "gpu_power", "lustre_bandwidth", "lustre_metadata")
# A node is idle that never keeps this share of its CPUs busy.
_IDLE: Final = 0.05
_MOST_LANES: Final = 24


def figures_of(run: Row, graphs: Graphs, language: Language) -> list[Figure]:
    """Draw what there is of a run; a graph that cannot be read says why."""
    canvas = canvas_of((each for each in graphs.values() if isinstance(each, DrawnGraph)), language)
    return list(_figures(run, graphs, canvas, language))


def _figures(run: Row, graphs: Graphs, canvas: Canvas | None, _: Language) -> Iterator[Figure]:
    draw: Sequence[tuple[str, str, Callable[[Row, DrawnGraph, Canvas], Figure]]] = (
        ("cpu", _("CPU"), _cpu), ("memory", _("Memory"), _memory), ("gpu_utilization", _("GPU utilisation"), _lanes),
        ("gpu_memory", _("GPU memory"), _gpu_memory), ("lustre_bandwidth", "Lustre", _lustre),
    )  # fmt: skip
    for name, title, make in draw:
        drawn = graphs.get(name)
        if drawn is None or (name.startswith("gpu") and not run["granted_gpus"]):
            continue
        if isinstance(drawn, FetchError):
            yield Figure(title=title, missing=str(drawn))
        elif canvas is None or (not drawn.lines and name != "gpu_utilization"):
            yield Figure(title=title, missing=_("Nothing was observed."), warnings=drawn.warnings)
        else:
            yield make(run, drawn, canvas)
    power = graphs.get("gpu_power")
    if run["granted_gpus"] and isinstance(power, DrawnGraph) and power.lines and canvas:
        yield _power(power, graphs.get("gpu_utilization"), canvas)


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


def _lanes(run: Row, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    """Draw a lane for each GPU; those that have no series are lanes with words."""
    _, several = canvas.language, len({_node(line) for line in drawn.lines}) > 1
    # The least used first, where not all can be shown.
    lines = sorted(drawn.lines, key=lambda line: line.mean or 0.0)[:_MOST_LANES]
    unseen = max(0, run["granted_gpus"] - len(drawn.lines))
    is_judged = run["gpus_judged"] is not None and run["gpus_judged"] >= run["granted_gpus"]
    words = _("no process has opened it") if is_judged else _("not observed")
    lanes = [
        Lane(" ".join((*([_node(line)] if several else []), f"GPU {line.labels.get('gpu', '')}")), line.points)
        for line in sorted(lines, key=_device)
    ]
    shown = min(unseen, max(0, _MOST_LANES - len(lanes)))
    lanes += [Lane("GPU", words=words, is_bad=is_judged) for _n in range(shown)]
    note = _("by device; the darker, the more")
    if several:
        lanes = [Lane(lane.name.replace(" GPU ", ":"), lane.points, lane.words, lane.is_bad) for lane in lanes]
        note = _("by node and device; the darker, the more")
    if (left := len(drawn.lines) + unseen - len(lanes)) > 0:
        note = "; ".join(
            (note, _.ngettext("%(n)s that is used more is left out", "%(n)s that are used more are left out", left))
        )
    title = _("GPU utilisation")
    drawing = lane_chart(canvas.times(step_of(drawn)), lanes, label=f"{title}: {note}", clock=canvas.clock)
    return Figure(title=title, note=note, drawn=drawing, warnings=drawn.warnings)


def _gpu_memory(run: Row, drawn: DrawnGraph, canvas: Canvas) -> Figure:
    _ = canvas.language
    traces, band = spread(drawn.lines, lambda line: f"GPU {line.labels.get('gpu', '')}")
    note = _("used on each GPU") if band is None else _("mean of all GPUs, shaded from the least to the most")
    title = _("GPU memory")
    drawing = canvas.lines(title, note, traces, step_of(drawn), canvas.numbers.size, band=band, base=base_of("bytes"))
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
