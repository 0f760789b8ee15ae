"""The budget of series of one cluster, file system or cloud, from refresh to refresh."""

from collections.abc import Mapping

from aggregator.engine.exposition import Folded, Limits, Member, Written
from aggregator.engine.frame import Frames
from aggregator.engine.part import Layout


class Budget:
    """Render what is made of parts within the limits, and remember what was shown; for one thread at a time."""

    def __init__(self, layout: Layout, limits: Limits) -> None:
        self._layout = layout
        self._limits = limits
        self._last = Folded()
        self._written: Written = {}

    def take_over(self, before: "Budget") -> None:
        """Go on from what was shown by other limits."""
        self._last = before._last

    def render(self, name: str, frames: Frames) -> Mapping[str, Member]:
        """Write every family of what has this name: family name → member."""
        self._last = self._layout.fold(frames, self._limits, self._last)
        return self._layout.render(name, self._last.frames, self._last.rests, self._written)
