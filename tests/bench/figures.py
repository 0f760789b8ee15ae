"""What a row of the table is: what is measured, by which target, and what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Ratio(Enum):
    """How a row's ratio is made, so that more is better or less is."""

    NONE = "–"
    TIMES_FASTER = "reference ÷ ours"
    SHARE = "ours ÷ reference"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of the row's figure, or of its ratio where it has one."""

    sign: str
    bound: float

    def met(self, value: float) -> bool:
        return _SIGNS[self.sign](value, self.bound)


_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "≤": lambda value, bound: value <= bound,
    "<": lambda value, bound: value < bound,
    "≥": lambda value, bound: value >= bound,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row: `unit` is that of ours and of the reference; `target` is of the ratio where there is one.

    `how` says in a sentence what is measured, so that somebody else gets the same.
    """

    key: str
    name: str
    unit: str
    target: Target
    how: str
    reference: str = ""
    ratio: Ratio = Ratio.NONE


class Figure(NamedTuple):
    """What was found: ours and the reference in the measure's unit, None where it was not measured; and a remark."""

    ours: float | None = None
    reference: float | None = None
    note: str = ""


class Row(NamedTuple):
    """A measure with its figure."""

    measure: Measure
    figure: Figure

    @property
    def ratio(self) -> float | None:
        ours, reference = self.figure.ours, self.figure.reference
        if self.measure.ratio is Ratio.NONE or not ours or not reference:
            return None
        return reference / ours if self.measure.ratio is Ratio.TIMES_FASTER else ours / reference

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where nothing is known."""
        value = self.figure.ours if self.measure.ratio is Ratio.NONE else self.ratio
        return None if value is None else self.measure.target.met(value)


class Point(NamedTuple):
    """A point of the cost curve: a size, and what one refresh costs there. Seconds of CPU, megabytes."""

    jobs: int
    runs: int
    samples: int
    seconds: float
    memory: float
    page: float
