"""The details of one run, which are not in its row: node events, reservation, dependencies, array tasks, components."""

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.model.accounting import Run
from aggregator.model.dependency import Dependency
from aggregator.model.jobid import JobId
from aggregator.model.steps import Recorded


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A time in which a node was not available; states are sinfo's words, end None while it lasts (epoch seconds)."""

    node: str
    start: float
    end: float | None
    states: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeEvents:
    """The events of a run's nodes, by node and time; cut says that nodes or events are missing."""

    events: tuple[NodeEvent, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """One reservation; nodes are read only where reservations themselves are asked for."""

    name: str
    start: float
    end: float | None
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One run of the user and what its submit line says it depends on."""

    run: Run
    depends_on: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a run waits for, and which of its user's runs wait for it; cut says that there may be more of the latter."""

    depends_on: tuple[Dependency, ...]
    dependents: tuple[Submission, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ArrayTasks:
    """The tasks of an array by state name; cut says that not all were counted."""

    states: Mapping[str, int]
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetails:
    """The details of one run; None is what could not be read (`warnings` say why), is not kept, or does not apply."""

    recorded: Recorded | None = None
    events: NodeEvents | None = None
    reservation: Reservation | None = None
    dependencies: Dependencies | None = None
    tasks: ArrayTasks | None = None
    components: tuple[Run, ...] | None = None
    named: Mapping[JobId, tuple[Run, ...]] | None = None
    warnings: tuple[str, ...] = ()
