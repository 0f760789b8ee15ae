"""Which nodes are not available: those that fail and come back, those that are drained, and what slurmdbd writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from aggregator.model.run_details import NodeEvent
from aggregator.synthetic.nodes import ENOUGH_NODES, Node, NodePool

DOWN: Final = ("down", "not_responding")
DRAINED: Final = ("idle", "drain")
NOT_RESPONDING: Final = "Not responding"
_REASONS: Final = (
    "Kill task failed", "health check: /tmp is full", "EDAC: correctable errors on DIMM A2", "update of the BMC",
)  # fmt: skip
_DAY: Final = 86_400.0
_HOUR: Final = 3600.0
_MONTH: Final = 30 * _DAY
_MAINTENANCE_OFFSET: Final = 4 * _DAY + 13 * _HOUR
MAINTENANCE_SECONDS: Final = 9 * _HOUR
_TROUBLED: Final = 0.25


@dataclass(slots=True)
class Outages:
    """The nodes that are out of service, and the events of all; a node that drains has one once its last run ends."""

    pool: NodePool
    rng: Random
    events: list[NodeEvent] = field(default_factory=list)
    draining: dict[str, str] = field(default_factory=dict)
    _open: dict[str, NodeEvent] = field(default_factory=dict)

    @property
    def possible(self) -> bool:
        """Tell whether the cluster is large enough to lose nodes."""
        return len(self.pool.nodes) >= ENOUGH_NODES

    def begin(self, at: float) -> None:
        """Leave one node drained for two days, and one that does not answer for hours."""
        drained, down = self.pool.nodes[6], self.pool.nodes[len(self.pool.nodes) // 2]
        self.draining[drained.name] = "EDAC: uncorrectable error on DIMM B1, ticket 48213"
        self.pool.withdraw(drained)
        self._write(drained, at - 2 * _DAY - 5000.0, DRAINED, self.draining[drained.name])
        self.fail(down, at - 5 * _HOUR - 700.0)

    def choose(self) -> Node:
        """Choose a node that is in service."""
        return self.rng.choice([node for node in self.pool.nodes if node.in_service])

    def fail(self, node: Node, at: float) -> None:
        """Let a node stop to answer."""
        self.pool.withdraw(node)
        self._write(node, at, DOWN, NOT_RESPONDING)

    def drain(self, node: Node, at: float) -> None:
        """Let an administrator drain a node."""
        self.draining[node.name] = self.rng.choice(_REASONS)
        self.pool.withdraw(node)
        self.emptied(node, at)

    def emptied(self, node: Node, at: float) -> None:
        """Write that a node is drained once nothing runs on it, as slurmctld does."""
        if node.name in self.draining and node.name not in self._open and node.free_cpus == self.pool.cpus:
            self._write(node, at, DRAINED, self.draining[node.name])

    def resume(self, node: Node, at: float) -> None:
        """Put a node back into service."""
        self.draining.pop(node.name, None)
        if event := self._open.pop(node.name, None):
            self.events[self.events.index(event)] = replace(event, end=at)
        self.pool.restore(node)

    def is_down(self, name: str) -> bool:
        """Tell whether a node does not answer now."""
        return name in self._open and self._open[name].states == DOWN

    def down_at(self, at: float) -> frozenset[str]:
        """List the nodes that did not answer at a time."""
        return frozenset(
            event.node
            for event in self.events
            if event.states == DOWN and event.start <= at and (event.end is None or at < event.end)
        )

    def state_of(self, node: Node, used: int, cpus: int, reserved: bool) -> tuple[str, tuple[str, ...]]:
        """Word a node's state as sinfo does, with its flags."""
        if self.is_down(node.name):
            return "down", ("not_responding",)
        if node.name in self.draining:
            return ("draining" if used else "drained"), ()
        if not used:
            return ("reserved" if reserved else "idle"), ()
        return ("allocated" if used >= cpus else "mixed"), ()

    def _write(self, node: Node, at: float, states: tuple[str, ...], reason: str) -> None:
        event = NodeEvent(node.name, at, None, states, reason)
        self.events.append(event)
        self._open[node.name] = event


def next_maintenance(at: float) -> float:
    """Give when the first maintenance begins that has not ended at a time: once in 30 days."""
    number = (at - MAINTENANCE_SECONDS - _MAINTENANCE_OFFSET) // _MONTH + 1
    return number * _MONTH + _MAINTENANCE_OFFSET


def past_events(seed: int, names: Sequence[str], before: float) -> list[NodeEvent]:
    """Draw what had happened to the nodes in the two months before a time; the same whatever that time is."""
    found = []
    last = int(before // _MONTH)
    for number in range(last - 2, last + 1):
        begin = number * _MONTH + _MAINTENANCE_OFFSET
        found += [
            NodeEvent(name, begin, begin + MAINTENANCE_SECONDS, ("idle", "maintenance"), "maintenance")
            for name in names
        ]
        found += [event for name in names if (event := _trouble(seed, name, number))]
    return [event for event in found if event.end is not None and event.end < before]


def _trouble(seed: int, name: str, month: int) -> NodeEvent | None:
    """Draw what was wrong with a node in a month: with one in four of them something was."""
    rng = Random(f"{seed}/{name}/{month}")  # noqa: S311 - a reproducible model, not a secret
    if rng.random() > _TROUBLED:
        return None
    begin = float(int(month * _MONTH + rng.uniform(6.0, 28.0) * _DAY))
    states, reason = (DOWN, NOT_RESPONDING) if rng.random() < _TROUBLED * 2 else (DRAINED, rng.choice(_REASONS))
    return NodeEvent(name, begin, begin + float(int(rng.uniform(0.3, 40.0) * _HOUR)), states, reason)
