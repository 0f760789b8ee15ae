"""Which node events overlap a run, once slurmctld's book-keeping is taken out of them?"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aggregator.model.run_details import NodeEvent

# The reason of what slurmctld writes since 23.11 when only a node's description has changed.
_MARKER: Final = "node-update"


def merge_events(events: Iterable[NodeEvent]) -> tuple[NodeEvent, ...]:
    """Merge what slurmctld has cut, by node and time: a changed cluster closes every row and opens it again.

    Markers of node updates have no length and are no events; a node that failed and came back at once has none either.
    """
    merged: list[NodeEvent] = []
    for event in sorted(events, key=_order):
        if event.reason == _MARKER and event.end == event.start:
            continue
        last = merged[-1] if merged else None
        if last is not None and _continues(last, event):
            merged[-1] = replace(last, end=event.end)
        else:
            merged.append(event)
    return tuple(merged)


def _order(event: NodeEvent) -> tuple[str, float, float]:
    return event.node, event.start, math.inf if event.end is None else event.end


def _continues(last: NodeEvent, event: NodeEvent) -> bool:
    same = (last.node, last.states, last.reason) == (event.node, event.states, event.reason)
    return same and last.end == event.start
