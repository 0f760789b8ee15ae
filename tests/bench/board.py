"""A file in memory through which the service's process and the bench tell each other things, without a request."""

import mmap
import struct
from pathlib import Path

# How many ticks there were, whether the sources are held, seconds of CPU that the synthetic sources took,
# whether the loop ticks.
_HEADER = struct.Struct("qqdq")
_TICK = struct.Struct("ddd")
# Eleven minutes of ticks.
_CAPACITY = 1 << 17
TICK_SECONDS = 0.005


class Board:
    """Ticks of an event loop, and some marks.

    A tick is (when it was due, when it came, how long the loop's thread had waited for a CPU by then), all in seconds,
    the first two of the monotonic clock.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at *path*, and make it where there is none."""
        with path.open("a+b") as file:
            file.truncate(_HEADER.size + _CAPACITY * _TICK.size)
            self._memory = mmap.mmap(file.fileno(), 0)

    def add(self, due: float, came: float, waited: float = 0.0) -> None:
        """Write down a tick."""
        (count,) = struct.unpack_from("q", self._memory, 0)
        _TICK.pack_into(self._memory, _HEADER.size + count % _CAPACITY * _TICK.size, due, came, waited)
        struct.pack_into("q", self._memory, 0, count + 1)

    @property
    def held(self) -> bool:
        """Whether the synthetic sources shall wait."""
        return bool(struct.unpack_from("q", self._memory, 8)[0])

    @held.setter
    def held(self, held: bool) -> None:
        struct.pack_into("q", self._memory, 8, held)

    @property
    def ticks(self) -> bool:
        """Whether the loop ticks: that takes CPU, and is not done while the service's own is measured."""
        (mark,) = struct.unpack_from("q", self._memory, 24)
        return bool(mark)

    @ticks.setter
    def ticks(self, ticks: bool) -> None:
        struct.pack_into("q", self._memory, 24, ticks)

    @property
    def spent(self) -> float:
        """Seconds of CPU that the synthetic sources took."""
        (seconds,) = struct.unpack_from("d", self._memory, 16)
        return float(seconds)

    @spent.setter
    def spent(self, seconds: float) -> None:
        struct.pack_into("d", self._memory, 16, seconds)

    def lateness(self, since: float, until: float, *, own: bool = False) -> list[float]:
        """Give how late the loop was at each moment of a time at which a tick was due, in seconds, in no order.

        While the loop is blocked no tick comes: those that were due meanwhile count, each with its own lateness.
        *own* leaves out for how long the thread could have run and had no CPU, since others had them.
        """
        (count,) = struct.unpack_from("q", self._memory, 0)
        found, before = [], None
        for number in range(max(0, count - _CAPACITY), count):
            due, came, waited = _TICK.unpack_from(self._memory, _HEADER.size + number % _CAPACITY * _TICK.size)
            others = waited - before if own and before is not None else 0.0
            before = waited
            while due <= came:
                if since <= due < until:
                    found.append(max(0.0, came - due - others))
                due += TICK_SECONDS
        return found
