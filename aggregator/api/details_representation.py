"""How the details of a run look in JSON: pure functions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TypedDict

from aggregator.api.answer import Period
from aggregator.api.representation import Json, times
from aggregator.api.visibility import Rights
from aggregator.model.accounting import Run
from aggregator.model.dependency import Dependency
from aggregator.model.jobid import JobId
from aggregator.model.run_details import Dependencies, NodeEvents, Reservation, RunDetails, Submission
from aggregator.model.steps import Exit, Recorded, Step
from aggregator.parts.jobs.steps import recorded_use


class ExitShown(TypedDict):
    """How a process ended."""

    status: int
    signal: int


class SummedShown(TypedDict):
    """What slurmdbd has of a run."""

    cpu_seconds: float | None
    memory_peak_bytes: int | None
    energy_joules: int | None
    energy_source: str


class StepShown(Period):
    """A step, such as 123.batch."""

    id: str
    name: str
    state: str | None
    tasks: int | None
    nodes: int | None
    exit: ExitShown | None
    cpu_seconds: float | None
    memory_bytes: int | None
    memory_task_bytes: int | None
    gpu_utilization: float | None
    gpu_memory_bytes: int | None
    energy_joules: int | None


class EventShown(Period):
    """When a node was not available."""

    node: str
    states: list[str]
    reason: str


class ReservedShown(Period):
    """A reservation."""

    name: str


class WaitedForShown(TypedDict):
    """A condition that a job waits for."""

    type: str
    id: str | None
    delay_minutes: int | None


class DependsOnShown(WaitedForShown):
    """The same, with the states of the jobs that it names."""

    states: dict[str, int] | None


class NamedShown(TypedDict):
    """A run by name."""

    id: str
    run_id: str
    state: str
    name: str


class DependentShown(NamedShown):
    """A run that waits for this one."""

    conditions: list[WaitedForShown]


class WaitsShown(TypedDict):
    """What a run waits for, and what waits for it."""

    depends_on: list[DependsOnShown]
    dependents: list[DependentShown]
    dependents_complete: bool


class DetailsShown(TypedDict):
    """What is read of a single run beside its row; null is not known, or not kept by this slurmdbd."""

    exit: ExitShown | None
    cancelled_by_uid: int | None
    recorded: SummedShown | None
    steps: list[StepShown] | None
    steps_complete: bool | None
    node_events: list[EventShown] | None
    node_events_complete: bool | None
    reservation: ReservedShown | None
    dependencies: WaitsShown | None
    array_tasks: dict[str, int] | None
    components: list[NamedShown] | None


def details_json(run: Run, details: RunDetails, rights: Rights) -> Json:
    """Show the details of one run; null is what is not known, does not apply, or is not kept by this slurmdbd."""
    return {
        **_recorded_json(run, details.recorded),
        "node_events": None if details.events is None else events_json(details.events),
        "node_events_complete": None if details.events is None else not details.events.cut,
        "reservation": _reservation_json(details.reservation),
        "dependencies": _dependencies_json(details, rights),
        "array_tasks": None if details.tasks is None else dict(details.tasks.states),
        "components": None
        if details.components is None
        else [_run(each) for each in details.components if rights.sees_run(each)],
    }


def _recorded_json(run: Run, recorded: Recorded | None) -> Json:
    if recorded is None:
        return dict.fromkeys(("exit", "cancelled_by_uid", "recorded", "steps", "steps_complete"))
    return {
        "exit": None if run.is_open else _exit_json(recorded.exit),
        "cancelled_by_uid": recorded.cancelled_by,
        "recorded": asdict(recorded_use(recorded)),
        "steps": [_step_json(run, step) for step in recorded.steps],
        "steps_complete": not recorded.cut,
    }


def _exit_json(exit_: Exit | None) -> Json | None:
    return None if exit_ is None else {"status": exit_.status, "signal": exit_.signal}


def _step_json(run: Run, step: Step) -> Json:
    return {
        "id": f"{run.display_id}.{step.id}",
        "name": step.name,
        "state": step.state.name.lower() if step.state is not None else None,
        **times("start", step.start),
        **times("end", step.end),
        "tasks": step.tasks,
        "nodes": step.nodes,
        "exit": _exit_json(step.exit),
        "cpu_seconds": step.cpu_seconds,
        "memory_bytes": step.memory_bytes,
        "memory_task_bytes": step.memory_task_bytes,
        "gpu_utilization": step.gpu_utilization,
        "gpu_memory_bytes": step.gpu_memory_bytes,
        "energy_joules": step.energy_joules,
    }


def events_json(events: NodeEvents) -> list[Json]:
    """Show the events of nodes, which are merged."""
    return [
        {
            "node": event.node,
            "states": list(event.states),
            "reason": event.reason,
            **times("start", event.start),
            **times("end", event.end),
        }
        for event in events.events
    ]


def _reservation_json(reservation: Reservation | None) -> Json | None:
    if reservation is None:
        return None
    return {"name": reservation.name, **times("start", reservation.start), **times("end", reservation.end)}


def _dependencies_json(details: RunDetails, rights: Rights) -> Json | None:
    """Show both ways: of a job that may not be seen its id, which the submit line has; of its dependents nothing."""
    found: Dependencies | None = details.dependencies
    if found is None:
        return None
    return {
        "depends_on": [_condition_json(each, details.named or {}, rights) for each in found.depends_on],
        "dependents": [_dependent_json(each) for each in found.dependents if rights.sees_run(each.run)],
        "dependents_complete": not found.cut,
    }


def _condition_json(condition: Dependency, named: Mapping[JobId, tuple[Run, ...]], rights: Rights) -> Json:
    runs = named.get(condition.job, ()) if condition.job else ()
    return {
        **_type_json(condition),
        "states": _states(run for run in runs if rights.sees_run(run)) or None,
    }


def _type_json(condition: Dependency) -> Json:
    return {
        "type": condition.type,
        "id": None if condition.job is None else str(condition.job),
        "delay_minutes": condition.minutes,
    }


def _states(runs: Iterable[Run]) -> dict[str, int]:
    """Count the newest run of each job by state; runs come oldest first."""
    newest = {run.job_id: run for run in runs}
    return dict(Counter(run.state.name.lower() for run in newest.values()))


def _dependent_json(submission: Submission) -> Json:
    return {**_run(submission.run), "conditions": [_type_json(each) for each in submission.depends_on]}


def _run(run: Run) -> Json:
    return {"id": run.display_id, "run_id": str(run.run_id), "state": run.state.name.lower(), "name": run.name}
