"""Lines that are put together: equal ones merged, small ones folded, and what is missing of a whole."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from aggregator.model.series import Line, Span

OTHERS: Final = "_other"
UNACCOUNTED: Final = "_unaccounted"
_Key = tuple[tuple[str, str], ...]


def merge_equal(lines: Iterable[Line]) -> list[Line]:
    """Merge lines with the same labels: two label values that mean one node, whose larger value has it all."""
    return _combine(lines, lambda labels: labels, max)


def fold_smallest(lines: Sequence[Line], label: str, top: int) -> list[Line]:
    """Keep the `top` lines with the largest sums over the whole range, and add up the others as `label="_other"`."""
    ranked = sorted(lines, key=lambda line: -sum(value for _, value in line.points))
    others = _combine(ranked[top:], lambda labels: {**labels, label: OTHERS}, lambda a, b: a + b)
    return [*ranked[:top], *others]


def add_up(lines: Iterable[Line], label: str) -> list[Line]:
    """Add up the lines that differ in one label only."""
    return _combine(
        lines, lambda labels: {name: value for name, value in labels.items() if name != label}, lambda a, b: a + b
    )


def unaccounted(parts: Sequence[Line], whole: Sequence[Line], label: str) -> list[Line]:
    """Give what is in the whole and in none of its parts as `label="_unaccounted"`, never below 0.

    The parts' labels without `label` say to which whole they belong; the whole's other labels are added up.
    """
    shared = {name for line in parts for name in line.labels} - {label} if parts else None
    found = []
    sums = _sums(parts, shared)
    for labels, points in _sums(whole, shared).items():
        of_parts = sums.get(labels, {})
        rest = tuple((time, max(0.0, value - of_parts.get(time, 0.0))) for time, value in sorted(points.items()))
        found.append(Line({**dict(labels), label: UNACCOUNTED}, rest))
    return found


def without(lines: Iterable[Line], moments: Collection[int]) -> list[Line]:
    """Leave out the points at some moments (epoch milliseconds), and the lines that have no others."""
    kept = (
        Line(line.labels, tuple(point for point in line.points if moment(point[0]) not in moments)) for line in lines
    )
    return [line for line in kept if line.points]


def within(line: Line, periods: Collection[tuple[float, float]]) -> Line | None:
    """Keep the points of a line within any of some periods (first and last moment); None when there are none."""
    points = tuple(point for point in line.points if any(first <= point[0] <= last for first, last in periods))
    return Line(line.labels, points) if points else None


def left_of(span: Span, moments: Collection[int]) -> Span | None:
    """Give the shortest part of a span that has all its moments but these; None when none is left."""
    times = (span.start + index * span.step for index in range(span.points))
    left = [time for time in times if moment(time) not in moments]
    return Span(left[0], left[-1], span.step) if left else None


def moment(time: float) -> int:
    """Give a time as Prometheus keeps it, in whole milliseconds: as a float it may differ in its last digit."""
    return round(time * 1000)


def _sums(lines: Iterable[Line], labels: set[str] | None) -> dict[_Key, dict[float, float]]:
    """Add up lines by those of their labels that are named; None: by none of them."""
    combined = _combine(
        lines, lambda each: {name: each[name] for name in each if labels and name in labels}, lambda a, b: a + b
    )
    return {tuple(sorted(line.labels.items())): dict(line.points) for line in combined}


def _combine(
    lines: Iterable[Line],
    relabel: Callable[[Mapping[str, str]], Mapping[str, str]],
    add: Callable[[float, float], float],
) -> list[Line]:
    """Put those lines together that have the same labels after `relabel`, point by point."""
    combined: defaultdict[_Key, dict[float, float]] = defaultdict(dict)
    for line in lines:
        points = combined[tuple(sorted(relabel(line.labels).items()))]
        for time, value in line.points:
            points[time] = add(points[time], value) if time in points else value
    return [Line(dict(labels), tuple(sorted(points.items()))) for labels, points in combined.items()]
