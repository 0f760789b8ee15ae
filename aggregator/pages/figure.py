"""Charts of graphs that the API draws: one for many lines, whether they are of a node, a device or a direction."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from aggregator.api.series_representation import DrawnGraph
from aggregator.model.series import Line, Span
from aggregator.pages.chart import Band, Plateau, Point, Times, Trace, line_chart
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers

# So many lines can be told from each other; of more the lowest, mean and highest are shown.
MOST_LINES: Final = 6
_BINARY: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with its title and what has to be told of it; without a chart, `missing` says why there is none."""

    title: str
    note: str = ""
    drawn: Markup | None = None
    missing: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Canvas:
    """What all charts of a page share: the axis of time, and the reader's language."""

    start: float
    end: float
    language: Language

    @property
    def numbers(self) -> Numbers:
        """Give what writes numbers."""
        return Numbers(self.language)

    def times(self, step: float) -> Times:
        """Give the axis of time for points that are `step` seconds apart."""
        return Times(self.start, self.end, step)

    def clock(self, at: float, with_date: bool) -> str:
        """Write a tick of the axis."""
        return self.numbers.clock(at, with_date=with_date)

    def lines(
        self,
        title: str,
        note: str,
        traces: Sequence[Trace],
        step: float,
        write: Callable[[float], str],
        levels: Sequence[Plateau] = (),
        band: Band | None = None,
        base: int = 10,
    ) -> Markup:
        """Draw lines."""
        return line_chart(
            self.times(step), traces, levels, label=f"{title}: {note}", write=write, clock=self.clock, base=base,
            band=band, unseen=self.language("not observed"),
        )  # fmt: skip


def canvas_of(drawn: Iterable[DrawnGraph], language: Language) -> Canvas | None:
    """Give what charts share: from the first to the last moment of all graphs; None where there is nothing."""
    spans: list[Span] = [each.span for each in drawn if each.span]
    if not spans:
        return None
    return Canvas(min(span.start for span in spans), max(span.end for span in spans), language)


def spread(lines: Sequence[Line], name: Callable[[Line], str]) -> tuple[list[Trace], Band | None]:
    """Give each line, or of many their mean and what lies between the lowest and the highest."""
    if len(lines) <= MOST_LINES:
        return [Trace(line.points, f"line l{number}", name(line)) for number, line in enumerate(lines)], None
    values: dict[float, list[float]] = defaultdict(list)
    for line in lines:
        for at, value in line.points:
            values[at].append(value)
    times = sorted(values)
    mean = [(at, sum(values[at]) / len(values[at])) for at in times]
    return [Trace(mean, "line l0")], Band([(at, min(values[at]), max(values[at])) for at in times])


def added(lines: Sequence[Line], by: Callable[[Line], str]) -> Mapping[str, list[Point]]:
    """Add up lines by a name; at a moment at which one has no point the others count alone."""
    sums: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for line in lines:
        of = sums[by(line)]
        for at, value in line.points:
            of[at] += value
    return {name: sorted(of.items()) for name, of in sums.items()}


def step_of(drawn: DrawnGraph) -> float:
    """Give the seconds between two points."""
    return drawn.span.step if drawn.span else 1.0


def base_of(unit: str) -> int:
    """Give 1024 for what is counted in bytes."""
    return _BINARY if unit == "bytes" else 10


def writer(unit: str, numbers: Numbers) -> Callable[[float], str]:
    """Give what writes values of a unit."""
    known: Mapping[str, Callable[[float], str]] = {
        "bytes": numbers.size, "bytes per second": numbers.rate, "ratio": numbers.percent, "watts": numbers.watts,
        "seconds": numbers.duration,
    }  # fmt: skip
    return known.get(unit, numbers.number)
