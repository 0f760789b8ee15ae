"""A run on its nodes, with what only the model knows of it."""

from dataclasses import dataclass

from aggregator.model.accounting import JobState, Run
from aggregator.synthetic.nodes import Node, NodePool
from aggregator.synthetic.profiles import Behaviour, Profile, Shape
from aggregator.synthetic.waves import Wave, phase_of


@dataclass(frozen=True, slots=True)
class LiveRun:
    """One run on its nodes: its kind, how and when it will end, and its busy CPUs on each of its nodes."""

    run: Run
    profile: Profile
    shape: Shape
    pool: NodePool
    nodes: tuple[Node, ...]
    end: float
    outcome: JobState
    waves: tuple[Wave, ...]


def cpu_waves(run: Run, behaviour: Behaviour, shape: Shape) -> tuple[Wave, ...]:
    """Give the busy CPUs of a run on each of its nodes."""
    return tuple(
        Wave(_busy_cpus(behaviour, shape.cpus, index), phase_of(run.run_id, index)) for index in range(len(run.nodes))
    )


def _busy_cpus(behaviour: Behaviour, cpus: int, index: int) -> float:
    if behaviour.busy_nodes is not None and index >= behaviour.busy_nodes:
        return 0.001 * cpus
    return behaviour.cpu * cpus if behaviour.busy_cpus is None else behaviour.busy_cpus
