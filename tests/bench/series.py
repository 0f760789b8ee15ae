"""The series of tens of thousands of jobs, written to a real Prometheus: many series have the same samples."""

import time
from collections.abc import Callable, Iterator, Mapping

from tests.lab.remote_write import encode_labels, encode_samples, send

INTERVAL = 30.0
# What the service looks back on, and what is written ahead: Prometheus takes no more than ten minutes of the future.
_PAST, _AHEAD = 600.0, 540.0
# One request has so many series.
_PIECE = 4000

Curve = Callable[[float], float]


class Series:
    """Series of curves over epoch time; `write` goes on where the last one ended."""

    def __init__(self, matcher: Mapping[str, str]) -> None:
        self._matcher = matcher
        self._curves: list[Curve] = []
        self._series: list[tuple[bytes, int]] = []
        self._until = (time.time() - _PAST) // INTERVAL * INTERVAL

    def __len__(self) -> int:
        return len(self._series)

    def curve(self, value: Curve) -> int:
        """Add a curve, and give its number."""
        self._curves.append(value)
        return len(self._curves) - 1

    def add(self, name: str, curve: int, **labels: str) -> None:
        """Add a series."""
        self._series.append((encode_labels({"__name__": name, **self._matcher, **labels}), curve))

    def write(self, url: str) -> None:
        """Write what is missing until some minutes from now."""
        until = time.time() + _AHEAD
        times = [self._until + number * INTERVAL for number in range(int((until - self._until) // INTERVAL))]
        if len(times) * INTERVAL < _AHEAD / 2:
            return
        samples = [encode_samples((at, curve(at)) for at in times) for curve in self._curves]
        for piece in self._pieces():
            send(f"{url}/api/v1/write", (labels + samples[curve] for labels, curve in piece))
        self._until = times[-1] + INTERVAL

    def _pieces(self) -> Iterator[list[tuple[bytes, int]]]:
        for begin in range(0, len(self._series), _PIECE):
            yield self._series[begin : begin + _PIECE]
