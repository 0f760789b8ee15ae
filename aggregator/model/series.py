"""Lines over time: what a graph of a job, user, account or node shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

# Prometheus refuses to answer with more points than this for one series.
MAX_POINTS: Final = 11_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its labels, and (epoch seconds, value) of each step at which there is one."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def mean(self) -> float | None:
        """Give the mean of the values that there are."""
        return sum(value for _, value in self.points) / len(self.points) if self.points else None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of evaluation times: `start`, and every `step` seconds from there up to `end` (epoch seconds)."""

    start: float
    end: float
    step: float

    @property
    def points(self) -> int:
        """Count the evaluation times."""
        return int((self.end - self.start) // self.step) + 1

    def chunks(self, most: int = MAX_POINTS) -> Iterator["Span"]:
        """Cut it into spans of at most `most` points that have the same evaluation times."""
        for first in range(0, self.points, most):
            last = min(first + most, self.points) - 1
            yield Span(self.start + first * self.step, self.start + last * self.step, self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose lines are wanted: of job ids, of nodes, or of what has certain labels (user, account, fs …).

    any_of has labels of which several values will do. not_of are users whose series of these job ids are not meant.
    """

    jobs: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    not_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The answer: lines in the order of their labels, the expressions that were asked, and what is wrong with it.

    rejected counts the values that cannot be, by reason; they are gaps in the lines.
    """

    lines: tuple[Line, ...] = ()
    queries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableGraph:
    """A graph that may be asked for: what it shows, in which unit, from which exporter, scraped how often (seconds).

    of_nodes: of a job it shows the whole nodes that the job runs on.
    """

    name: str
    help: str
    unit: str
    exporter: str
    interval: float
    of_nodes: bool = False
