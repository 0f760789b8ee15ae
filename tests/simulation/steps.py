"""Quantities that are constant between the times at which they change."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise

FOREVER = float("inf")
Part = tuple[float, float, float]


class Steps:
    """A quantity over time: 0 but within its parts (begin, end, value), which do not overlap."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.edges: list[float] = []
        self.values: list[float] = []
        for begin, end, value in sorted(parts):
            if self.edges and self.edges[-1] == begin:
                self.values[-1] = value
            else:
                self.edges.append(begin)
                self.values.append(value)
            if end < FOREVER:
                self.edges.append(end)
                self.values.append(0.0)

    def at(self, time: float) -> float:
        index = bisect_right(self.edges, time) - 1
        return self.values[index] if index >= 0 else 0.0

    def integral(self, begin: float, end: float) -> float:
        """Add it up from *begin* to *end*."""
        total = 0.0
        for index in range(max(0, bisect_right(self.edges, begin) - 1), len(self.edges)):
            first, last = self.edges[index], self.edges[index + 1] if index + 1 < len(self.edges) else FOREVER
            if first >= end:
                break
            total += self.values[index] * max(0.0, min(end, last) - max(begin, first))
        return total

    def mean(self, begin: float, end: float) -> float:
        return self.integral(begin, end) / (end - begin)

    def scaled(self, factor: float, plus: float = 0.0) -> "Steps":
        """Give factor × it + plus, at all times."""
        found = Steps()
        found.edges = [-FOREVER, *self.edges]
        found.values = [plus, *(value * factor + plus for value in self.values)]
        return found

    def cut(self, begin: float, end: float) -> "Steps":
        """Give what of it lies between two times."""
        return Steps((max(begin, first), min(end, last), value) for first, last, value in self.parts()
                     if first < end and last > begin)  # fmt: skip

    def parts(self) -> Iterator[Part]:
        edges = [*self.edges, FOREVER]
        yield from ((first, last, value) for (first, last), value in zip(pairwise(edges), self.values, strict=True))


def total(all_steps: Iterable[Steps]) -> Steps:
    """Add several quantities up."""
    changes: dict[float, float] = {}
    for steps in all_steps:
        before = 0.0
        for edge, value in zip(steps.edges, steps.values, strict=True):
            changes[edge] = changes.get(edge, 0.0) + value - before
            before = value
    found = Steps()
    level = 0.0
    for edge in sorted(changes):
        level += changes[edge]
        found.edges.append(edge)
        found.values.append(round(level, 9))
    return found
