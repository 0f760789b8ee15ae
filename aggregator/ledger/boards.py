"""Whose is the power of a GPU board that several jobs share?

A job that holds whole GPUs has its boards for itself. Jobs that hold a part of one (shards, MPS) all show the power of
the whole board: it counts once, and each of them has its part of it by the time that it was there.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

# Readings of one board at the same moments are the same number.
_SAME_WATTS = 0.001


@dataclass(frozen=True, slots=True)
class Viewer:
    """One run on a node: for how many seconds, what it holds in boards, and the watts of each GPU that it sees."""

    seconds: float
    boards: float
    watts: Sequence[float] = ()


@dataclass(slots=True)
class _Board:
    watts: float
    viewers: list[int] = field(default_factory=list)


def own_gpu_watts(viewers: Sequence[Viewer], seconds: float) -> list[float | None]:
    """Give each run's watts while it was there, in a window of that many seconds; None for one that sees no GPU."""
    own: list[float | None] = [sum(viewer.watts) if viewer.watts else None for viewer in viewers]
    sharing = [index for index, viewer in enumerate(viewers) if viewer.watts and viewer.boards < 1]
    if len(sharing) < 2:
        return own
    shared: dict[int, float] = defaultdict(float)
    for board in _boards(viewers, sharing, seconds):
        together = sum(viewers[index].seconds for index in board.viewers)
        for index in board.viewers:
            shared[index] += board.watts * min(1.0, seconds / together)
    for index in sharing:
        own[index] = shared[index]
    return own


def _boards(viewers: Sequence[Viewer], sharing: Sequence[int], seconds: float) -> list[_Board]:
    """Tell the boards apart by their power.

    A run that was there for a part of the window has a mean of its own: it is taken to see the board that is nearest.
    """
    boards: list[_Board] = []
    for index in sorted(sharing, key=lambda index: -viewers[index].seconds):
        viewer = viewers[index]
        is_whole = viewer.seconds >= seconds
        for watts in viewer.watts:
            free = [board for board in boards if index not in board.viewers]
            nearest = min(free, key=lambda board: abs(board.watts - watts), default=None)
            if nearest is None or (is_whole and abs(nearest.watts - watts) > _SAME_WATTS):
                nearest = _Board(watts)
                boards.append(nearest)
            nearest.viewers.append(index)
    return boards
