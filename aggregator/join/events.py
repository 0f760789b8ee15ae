"""Which node events overlap a run, once slurmctld's book-keeping is taken out of them?"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aggregator.model.around import NodeEvent

# The reason of what slurmctld writes since 23.11 when only a node's description has changed.
_MARKER: Final = "node-update"
_BASE: Final = {1: "down", 2: "idle", 3: "allocated", 4: "error", 5: "mixed", 6: "future"}
_FLAGS: Final = {
    0x200: "drain",
    0x800: "not_responding",
    0x1000: "powered_down",
    0x2000: "fail",
    0x4000: "powering_up",
    0x8000: "maintenance",
    0x10000: "reboot_requested",
    0x40000: "powering_down",
    0x100000: "reboot_issued",
}


def node_states(number: int) -> tuple[str, ...]:
    """Name the base state and the flags of a node's state; bits that no release of ours knows are left out."""
    base = _BASE.get(number & 0xF)
    flags = (name for bit, name in _FLAGS.items() if number & bit)
    return (*((base,) if base else ()), *flags)


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
