"""Charts as inline SVG: pure functions of lines over time. Colours and sizes of letters are the style sheet's.

Every drawing is WIDTH units wide and has the same margins, so that all those of a page share one axis of time.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

Point = tuple[float, float]
WIDTH: Final = 560
HEIGHT: Final = 150
LEFT: Final = 74
RIGHT: Final = 10
TOP: Final = 10
BOTTOM: Final = 24
_INNER: Final = WIDTH - LEFT - RIGHT
_LANE: Final = 20
_LANE_GAP: Final = 6
_STRIP: Final = 6
# More points than this are no wider than a pixel.
_POINTS: Final = 240
_CELLS: Final = 120
_LEVELS: Final = 10
# Between two ticks of time.
_STEPS: Final = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
_MOST_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Times:
    """The axis of time: epoch seconds, and the seconds between two points."""

    start: float
    end: float
    step: float

    def x(self, at: float) -> float:
        """Give the place of a moment."""
        length = max(self.end - self.start, 1.0)
        return LEFT + min(1.0, max(0.0, (at - self.start) / length)) * _INNER

    @property
    def tick(self) -> float:
        """Give the seconds between two ticks."""
        finest = (self.end - self.start) / _MOST_TICKS
        return next((float(step) for step in _STEPS if step >= finest), _STEPS[-1])

    def ticks(self) -> Sequence[float]:
        """Give the moments that are named."""
        step = self.tick
        first = math.ceil(self.start / step)
        return [number * step for number in range(first, math.floor(self.end / step) + 1)]


@dataclass(frozen=True, slots=True)
class Trace:
    """A line, or an area down to the axis. look is a class of the style sheet, name is what a reader is told."""

    points: Sequence[Point]
    look: str = "line"
    name: str = ""
    is_area: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between the lowest and the highest of many: epoch seconds, low, high."""

    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Plateau:
    """A value that holds all the time: a limit, a peak."""

    value: float
    look: str = "limit"


@dataclass(frozen=True, slots=True)
class Lane:
    """A device's row of cells: values from 0 to 1 over time, and others below; without any, the words that say why."""

    name: str
    points: Sequence[Point] = ()
    words: str = ""
    is_bad: bool = False
    below: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot with words; the one that the page is about is marked."""

    value: float
    words: str
    is_this: bool = False


def line_chart(
    times: Times,
    traces: Sequence[Trace],
    levels: Sequence[Plateau] = (),
    *,
    label: str,
    write: Callable[[float], str],
    clock: Callable[[float, bool], str],
    base: int = 10,
    band: Band | None = None,
    unseen: str = "",
) -> Markup:
    """Draw lines and areas; where no trace has a point nobody looked, which is grey and says `unseen`."""
    thinned = [Trace(thin(each.points), each.look, each.name, each.is_area) for each in traces]
    values = [value for each in thinned for _, value in each.points] + [each.value for each in levels]
    values += [high for _, _, high in band.points] if band else []
    ticks = value_ticks(max(values, default=0.0), base)
    top = ticks[-1]
    seen = sorted({at for each in traces for at, _ in each.points})
    parts = [
        _grid(ticks, top, write), _clock(times, HEIGHT, clock), *_unseen(times, seen, unseen),
        *([_band(times, band, top)] if band else []), *(_trace(times, each, top, times.step) for each in thinned),
        *(_level(each, top) for each in levels),
    ]  # fmt: skip
    return _svg(HEIGHT, label, parts, times, top)


def lane_chart(times: Times, lanes: Sequence[Lane], *, label: str, clock: Callable[[float, bool], str]) -> Markup:
    """Draw a row of cells for each device."""
    height = TOP + len(lanes) * (_LANE + _LANE_GAP) + BOTTOM - _LANE_GAP
    parts = [_clock(times, height, clock)]
    for number, lane in enumerate(lanes):
        y = TOP + number * (_LANE + _LANE_GAP)
        parts.append(
            Markup('<text x="{}" y="{}" class="tick end">{}</text>').format(LEFT - 6, y + _LANE - 6, lane.name)
        )
        parts.append(_row(times, lane, y) if lane.points else _empty(lane, y))
    return _svg(height, label, parts, times, 0)


def dot_chart(marks: Sequence[Mark], *, label: str, write: Callable[[float], str], ends: tuple[str, str]) -> Markup:
    """Draw a dot for each of several things, in their order, from 0 to 1 or to the largest value."""
    top = max([1.0, *(mark.value for mark in marks)])
    ticks = [0.0, top / 2, top]
    parts = [_grid(ticks, top, write)]
    first, last = ends
    parts.append(Markup('<text x="{}" y="{}" class="tick">{}</text>').format(LEFT, HEIGHT - 7, first))
    parts.append(Markup('<text x="{}" y="{}" class="tick end">{}</text>').format(WIDTH - RIGHT, HEIGHT - 7, last))
    parts += [_mark(mark, LEFT + 8 + (_INNER - 16) * place, top) for place, mark in _spread(marks)]
    return _svg(HEIGHT, label, parts, None, top)


def bar(ratio: float | None, look: str, label: str) -> Markup:
    """Draw how much of something is used, and nothing where that is not known."""
    filled = Markup("")
    if ratio is not None:
        width = min(1.0, max(0.0, ratio)) * 100
        filled = Markup('<rect class="fill {}" width="{}%" height="100%"/>').format(look, f"{width:.1f}")
    unknown = " none" if ratio is None else ""
    return Markup('<svg class="bar{}" role="img" aria-label="{}">{}</svg>').format(unknown, label, filled)


def parts_bar(parts: Sequence[tuple[float, str, str]], label: str) -> Markup:
    """Draw one bar of several parts: shares of 1, looks, and words."""
    drawn, at = Markup(""), 0.0
    for share, look, words in parts:
        drawn += Markup('<rect class="fill {}" x="{}%" width="{}%" height="100%"><title>{}</title></rect>').format(
            look, f"{at * 100:.2f}", f"{share * 100:.2f}", words
        )
        at += share
    return Markup('<svg class="bar parts" role="img" aria-label="{}">{}</svg>').format(label, drawn)


def value_ticks(most: float, base: int) -> list[float]:
    """Give two or three round values from 0 to at least `most`; base 1024 for bytes."""
    if not most > 0:
        return [0.0, 1.0]
    scale = float(base ** math.floor(math.log(most, base))) if base == 1024 else 1.0
    step = _round_up(most * 1.02 / scale / 2) * scale
    return [0.0, step, 2 * step] if 2 * step >= most else [0.0, step, 2 * step, 3 * step]


def _round_up(value: float) -> float:
    """Give the next of 1, 2, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((each for each in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if each * power >= value), 10) * power


def thin(points: Sequence[Point]) -> Sequence[Point]:
    """Take means of neighbours where there are more points than can be seen; gaps stay."""
    if len(points) <= _POINTS:
        return points
    width = (points[-1][0] - points[0][0]) / _POINTS or 1.0
    found: dict[int, list[Point]] = {}
    for at, value in points:
        found.setdefault(int((at - points[0][0]) / width), []).append((at, value))
    return [(each[0][0], sum(value for _, value in each) / len(each)) for each in found.values()]


def _svg(height: float, label: str, parts: Iterable[Markup], times: Times | None, top: float) -> Markup:
    data = Markup("")
    if times:
        data = Markup(' data-from="{}" data-to="{}" data-top="{}"').format(
            f"{times.start:.0f}", f"{times.end:.0f}", f"{top:.6g}"
        )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"{}>{}</svg>').format(
        WIDTH, f"{height:g}", label, data, Markup("").join(parts)
    )


def _y(value: float, top: float) -> float:
    return TOP + (1 - min(1.0, max(0.0, value / top))) * (HEIGHT - TOP - BOTTOM)


def _grid(ticks: Sequence[float], top: float, write: Callable[[float], str]) -> Markup:
    return Markup("").join(
        Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" class="tick end">{}</text>').format(
            LEFT, f"{_y(value, top):.1f}", WIDTH - RIGHT, LEFT - 6, f"{_y(value, top) + 4:.1f}", write(value)
        )
        for value in ticks
    )


def _clock(times: Times, height: float, clock: Callable[[float, bool], str]) -> Markup:
    """Name moments; a script writes them by the reader's clock."""
    step = times.tick
    return Markup("").join(
        Markup('<text x="{}" y="{}" class="tick mid" data-at="{}" data-step="{}">{}</text>').format(
            f"{times.x(at):.0f}", f"{height - 7:g}", f"{at:.0f}", f"{step:.0f}", clock(at, step >= 86_400)
        )
        for at in times.ticks()
        if LEFT + 12 <= times.x(at) <= WIDTH - RIGHT - 12
    )


def _unseen(times: Times, seen: Sequence[float], words: str) -> list[Markup]:
    """Grey out where nobody looked: more than two steps without any point."""
    edges = [times.start - times.step, *seen, times.end + times.step]
    gaps = [(before, after) for before, after in pairwise(edges) if after - before > 2.5 * times.step]
    return [
        Markup('<rect class="unseen" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
            f"{times.x(before):.1f}", TOP, f"{times.x(after) - times.x(before):.1f}", HEIGHT - TOP - BOTTOM, words
        )
        for before, after in gaps
    ]


def _pieces(points: Sequence[Point], step: float) -> Iterable[Sequence[Point]]:
    """Cut a line where points are missing."""
    # Thinned ones are further apart.
    spacing = max(step, (points[-1][0] - points[0][0]) / max(1, len(points) - 1)) if points else step
    piece: list[Point] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > 2.5 * spacing:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _trace(times: Times, trace: Trace, top: float, step: float) -> Markup:
    written: list[str] = []
    for piece in _pieces(trace.points, step):
        # A single point is a stroke of a step: a line without length would not be seen.
        piece = piece if len(piece) > 1 else [piece[0], (piece[0][0] + step, piece[0][1])]
        places = [f"{times.x(at):.1f} {_y(value, top):.1f}" for at, value in piece]
        line = f"M{'L'.join(places)}"
        floor = _y(0, top)
        ends = f"V{floor:g}H{times.x(piece[0][0]):.1f}Z" if trace.is_area else ""
        written.append(line + ends)
    return Markup('<path class="{}" d="{}" data-name="{}"/>').format(trace.look, "".join(written), trace.name)


def _band(times: Times, band: Band, top: float) -> Markup:
    lows = thin([(at, low) for at, low, _ in band.points])
    highs = thin([(at, high) for at, _, high in band.points])
    written = []
    for low, high in zip(_pieces(lows, times.step), _pieces(highs, times.step), strict=True):
        places = [f"{times.x(at):.1f} {_y(value, top):.1f}" for at, value in (*high, *reversed(low))]
        written.append(f"M{'L'.join(places)}Z")
    return Markup('<path class="band" d="{}"/>').format("".join(written))


def _level(level: Plateau, top: float) -> Markup:
    return Markup('<path class="{}" d="M{} {}H{}"/>').format(
        level.look, LEFT, f"{_y(level.value, top):.1f}", WIDTH - RIGHT
    )


def _row(times: Times, lane: Lane, y: float) -> Markup:
    """Draw the cells of a lane, and a strip of the other ones below."""
    frame = Markup('<rect class="lane" x="{}" y="{}" width="{}" height="{}"/>').format(LEFT, f"{y:g}", _INNER, _LANE)
    if not lane.below:
        return frame + _cells(times, lane.points, y, _LANE, "heat")
    upper = _LANE - _STRIP - 1
    return (
        frame
        + _cells(times, lane.points, y, upper, "heat")
        + _cells(times, lane.below, y + upper + 1, _STRIP, "heat b")
    )


def _cells(times: Times, points: Sequence[Point], y: float, height: float, look: str) -> Markup:
    """Draw cells: one path for each shade, in which neighbours are one."""
    width = max(times.step, (times.end - times.start) / _CELLS)
    sums: dict[int, list[float]] = {}
    for at, value in points:
        sums.setdefault(int((at - times.start) / width), []).append(value)
    shades: dict[int, list[str]] = {}
    for number, values in sorted(sums.items()):
        shade = min(_LEVELS, max(0, round(sum(values) / len(values) * _LEVELS)))
        left = times.x(times.start + number * width)
        right = times.x(times.start + (number + 1) * width)
        shades.setdefault(shade, []).append(f"M{left:.1f} {y:g}H{right + 0.2:.1f}v{height:g}H{left:.1f}z")
    return Markup("").join(
        Markup('<path class="{} h{}" d="{}"/>').format(look, shade, "".join(drawn)) for shade, drawn in shades.items()
    )


def _empty(lane: Lane, y: float) -> Markup:
    look = "bad" if lane.is_bad else "unknown"
    return Markup(
        '<rect class="empty {}" x="{}" y="{}" width="{}" height="{}"/><text x="{}" y="{}" class="words {}">{}</text>'
    ).format(look, LEFT, f"{y:g}", _INNER, _LANE, LEFT + _INNER / 2, f"{y + _LANE - 6:g}", look, lane.words)


def _spread(marks: Sequence[Mark]) -> Iterable[tuple[float, Mark]]:
    """Place things side by side, the marked one last so that it lies on top."""
    places = [(number / max(1, len(marks) - 1) if len(marks) > 1 else 1.0, mark) for number, mark in enumerate(marks)]
    return sorted(places, key=lambda each: each[1].is_this)


def _mark(mark: Mark, x: float, top: float) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        "this" if mark.is_this else "dot",
        f"{x:.1f}",
        f"{_y(mark.value, top):.1f}",
        6 if mark.is_this else 4,
        mark.words,
    )
