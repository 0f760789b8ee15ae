"""The cost curve as a picture: two small charts with logarithmic axes, readable on light and dark pages."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from tests.bench.figures import Point

_WIDTH, _HEIGHT = 720, 260
# Room for the number at the first point.
_MARGIN = 25
_STYLE = """\
text { font: 12px sans-serif; fill: #333 } .axis { stroke: #999 } .grid { stroke: #ddd }
.line { fill: none; stroke: #1668b8; stroke-width: 2 } .dot { fill: #1668b8 }
@media (prefers-color-scheme: dark) {
  text { fill: #ccc } .axis { stroke: #777 } .grid { stroke: #444 }
  .line { stroke: #6cb2f5 } .dot { fill: #6cb2f5 }
}"""


class _Box(NamedTuple):
    """Where a chart's axes are, in pixels."""

    left: float
    right: float
    top: float
    bottom: float


_BOXES = (_Box(60, 340, 40, 215), _Box(420, 700, 40, 215))


def draw(curve: Sequence[Point]) -> str:
    """Draw the CPU of a refresh and the memory by running jobs."""
    charts = (
        ("CPU of a refresh, seconds", [(point.jobs, point.seconds) for point in curve]),
        ("Memory, MB", [(point.jobs, point.memory) for point in curve]),
    )
    body = "\n".join(_chart(box, title, points) for box, (title, points) in zip(_BOXES, charts, strict=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="CPU of a refresh and memory by running jobs">\n<style>\n{_STYLE}\n</style>\n{body}\n</svg>\n'
    )


def _chart(box: _Box, title: str, points: Sequence[tuple[float, float]]) -> str:
    across = _scale([jobs for jobs, _ in points], box.left + _MARGIN, box.right - _MARGIN)
    up = _scale([value for _, value in points], box.bottom, box.top)
    places = [(across(jobs), up(value)) for jobs, value in points]
    parts = [f'<text x="{box.left}" y="{box.top - 18}">{escape(title)}</text>']
    parts += [*_grid(box, points, across, up)]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
    for (x, y), (_, value) in zip(places, points, strict=True):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{_short(value)}</text>')
    parts.append(
        f'<text x="{(box.left + box.right) / 2}" y="{box.bottom + 36}" text-anchor="middle">running jobs</text>'
    )
    return "\n".join(parts)


def _grid(
    box: _Box, points: Sequence[tuple[float, float]], across: Callable[[float], float], up: Callable[[float], float]
) -> Iterable[str]:
    """Draw a line at each power of ten of the values, and each size below the axis."""
    for value in _powers([value for _, value in points]):
        y = up(value)
        yield f'<line class="grid" x1="{box.left}" x2="{box.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{box.left - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    yield f'<line class="axis" x1="{box.left}" x2="{box.right}" y1="{box.bottom}" y2="{box.bottom}"/>'
    for jobs, _ in points:
        yield f'<text x="{across(jobs):.1f}" y="{box.bottom + 17}" text-anchor="middle">{_short(jobs)}</text>'


def _powers(values: Sequence[float]) -> list[float]:
    low, high = _bounds(values)
    return [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Give the powers of ten around the values; nothing is below a thousandth."""
    low = math.floor(math.log10(max(min(values, default=1.0), 1e-3)))
    high = math.ceil(math.log10(max(*values, 1e-3, 10.0 ** (low + 1)) if values else 10.0))
    return 10.0**low, 10.0**high


def _scale(values: Sequence[float], begin: float, end: float) -> Callable[[float], float]:
    low, high = (math.log10(bound) for bound in _bounds(values))
    return lambda value: begin + (math.log10(max(value, 1e-3)) - low) / (high - low) * (end - begin)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 and value % 100 == 0 else f"{value:.3g}"
