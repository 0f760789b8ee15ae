"""Whether the loops still come round: what /-/healthy and systemd's watchdog judge the process by."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

STALLED_AFTER = 600.0


@dataclass(slots=True)
class LoopState:
    """When a loop came round last (of the given clock), in what time it must, and how often it was started again."""

    seen: float
    patience: float
    restarts: int = 0


class Progress:
    """Remember when each loop last came round; a loop that is expected and never runs has stalled too."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.loops: Mapping[str, LoopState] = {}
        self._now = now

    def expect(self, intervals: Iterable[tuple[str, float]], stalled_after: float) -> None:
        """Expect exactly these loops, by name and interval, to come round within interval and stalled_after seconds."""
        known, now = self.loops, self._now()
        self.loops = {
            name: LoopState(now, interval + stalled_after, known[name].restarts if name in known else 0)
            for name, interval in intervals
        }

    def beat(self, name: str) -> None:
        """Note that a loop came round, whatever came of it."""
        if name in self.loops:
            self.loops[name].seen = self._now()

    def restarted(self, name: str) -> None:
        """Count that a loop was started again."""
        if name in self.loops:
            self.loops[name].restarts += 1

    def age(self, name: str) -> float:
        """Give the seconds since a loop came round."""
        return self._now() - self.loops[name].seen

    def ages(self) -> dict[str, tuple[float, int]]:
        """Give for each loop the seconds since it came round, and how often it was started again."""
        return {name: (self.age(name), loop.restarts) for name, loop in self.loops.items()}

    def stalled(self) -> list[str]:
        """Name the loops that have not come round in their time."""
        return sorted(name for name, loop in self.loops.items() if self.age(name) > loop.patience)
