"""Levels that sink and rise by a few percent, smooth in time and reproducible."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_GOLDEN: Final = 0.6180339887498949
_SWING: Final = 0.06
_PERIOD_SECONDS: Final = 900.0
_RADIANS_PER_SECOND: Final = 2 * math.pi / _PERIOD_SECONDS


@dataclass(frozen=True, slots=True)
class Wave:
    """A level that sinks and rises, never above the level, whose integral is known exactly."""

    level: float
    phase: float

    def value(self, at: float) -> float:
        """Give the value at a time."""
        return self.level * (1 - _SWING + _SWING * math.sin(_angle(at) + self.phase))


def shares(phases: Sequence[float], at: float) -> list[float]:
    """Give which share of its level each wave of these phases has: of thousands much quicker than one by one."""
    angle = _angle(at)
    return [1 - _SWING + _SWING * sine for sine in map(math.sin, [angle + phase for phase in phases])]


def integrals(waves: Sequence[Wave], begins: Sequence[float], end: float) -> list[float]:
    """Give the area of each wave from its begin to `end`, so that counters agree with rates."""
    last, cos = _angle(end), math.cos
    cosines = [cos(_angle(at) + wave.phase) - cos(last + wave.phase) for wave, at in zip(waves, begins, strict=True)]
    return [
        wave.level * ((1 - _SWING) * (end - begin) + _SWING * swung / _RADIANS_PER_SECOND)
        for wave, begin, swung in zip(waves, begins, cosines, strict=True)
    ]


def phase_of(number: int, index: int) -> float:
    """Spread things and their parts over the circle without any state."""
    return 2 * math.pi * ((number % 1_000_003 * _GOLDEN + index * 0.17) % 1.0)


def _angle(at: float) -> float:
    return 2 * math.pi * at / _PERIOD_SECONDS
