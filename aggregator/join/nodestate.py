"""In which state is a node: by slurmctld's word, else by slurmdbd's record of when it was not available?"""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.model.around import NodeEvent
from aggregator.model.node import NodeView
from aggregator.model.nodestate import in_words

EXPORTER = "slurm-exporter"
EVENTS = "slurmacct event_table"


@dataclass(frozen=True, slots=True)
class State:
    """A node's state as sinfo words it, its flags, who says so; reason and since are slurmdbd's, where it has them."""

    word: str | None
    flags: tuple[str, ...] = ()
    source: str = ""
    reason: str = ""
    since: float | None = None


def state_of(node: NodeView, events: Iterable[NodeEvent] | None) -> State:
    """Give the state of a node; events are those of it that are open, None where they are not known."""
    newest = max(events or (), key=lambda event: event.start, default=None)
    reason, since = (newest.reason, newest.start) if newest else ("", None)
    if node.told and node.told.state:
        return State(node.told.state, node.told.flags, EXPORTER, reason, since)
    if events is None or node.kind != "compute":
        return State(None)
    if newest is None:
        return State(_available(node), source=EVENTS)
    word, flags = in_words(newest.states, busy=bool(node.jobs))
    return State(word or None, flags, EVENTS, reason, since)


def _available(node: NodeView) -> str | None:
    """Word the state of a node of which slurmdbd records nothing bad; None where its size is not known."""
    if not node.jobs:
        return "idle"
    cpus = capacity(node)[0]
    if cpus is None:
        return None
    return "allocated" if node.held.cpus >= cpus else "mixed"


def capacity(node: NodeView) -> tuple[float | None, float | None, float | None]:
    """Give CPUs, bytes of memory and GPUs of a node: slurmctld's, else what node_exporter sees."""
    told = node.told
    return (
        told.cpus if told and told.cpus is not None else node.measured.get("cpus"),
        told.memory_bytes if told and told.memory_bytes is not None else node.measured.get("memory_total_bytes"),
        told.gpus if told else None,
    )
