"""Whether the loops still come round: what /-/healthy and systemd's watchdog judge the process by."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

STALLED_AFTER = 600.0


@dataclass(slots=True)
class LoopState:
    """When a loop came round last (of the given clock), and in what time it must."""

    seen: float
    patience: float


class Progress:
    """Remember when each loop last came round; a loop that is expected and never runs has stalled too."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.loops: dict[str, LoopState] = {}
        self._restarts = Counter[str]()
        self._now = now

    def expect(self, intervals: Iterable[tuple[str, float]], stalled_after: float) -> None:
        """Expect these loops, by name and interval, to come round within interval and stalled_after seconds."""
        now = self._now()
        self.loops |= {name: LoopState(now, interval + stalled_after) for name, interval in intervals}

    def forget(self, names: Iterable[str]) -> None:
        """Expect these loops no more."""
        for name in names:
            self.loops.pop(name, None)

    def beat(self, name: str) -> None:
        """Note that a loop came round, whatever came of it."""
        if name in self.loops:
            self.loops[name].seen = self._now()

    def restarted(self, name: str) -> None:
        """Count that a loop was started again."""
        self._restarts[name] += 1

    def age(self, name: str) -> float:
        """Give the seconds since a loop came round."""
        return self._now() - self.loops[name].seen

    def ages(self) -> dict[str, tuple[float, int]]:
        """Give for each loop the seconds since it came round, and how often it was started again."""
        return {name: (self.age(name), self._restarts[name]) for name in self.loops}

    def stalled(self) -> list[str]:
        """Name the loops that have not come round in their time."""
        return sorted(name for name, loop in self.loops.items() if self.age(name) > loop.patience)
