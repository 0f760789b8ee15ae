"""How nodes, partitions and reservations look in JSON: pure functions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from aggregator.api.representation import GPU, Json, run_json, times, value
from aggregator.join.nodes import EXPLANATIONS
from aggregator.join.nodestate import State, capacity
from aggregator.join.spread import part_of
from aggregator.model.accounting import Run
from aggregator.model.around import Reservation
from aggregator.model.node import NodeView, Scheduler, Told
from aggregator.model.view import ClusterView, NodeEnergy

_HOST: Final = "node_exporter via Prometheus"
_HELD: Final = "slurmacct tres_alloc ÷ nodes"


def node_json(node: NodeView, state: State, energy: NodeEnergy | None) -> Json:
    """Show one node now; null is what is not known."""
    return {
        "node": node.name,
        "kind": node.kind,
        **_state_json(state),
        "features": node.told.features.split(",") if node.told and node.told.features else [],
        "capacity": dict(zip(("cpus", "memory_bytes", "gpus"), capacity(node), strict=True)),
        **_compute_json(node),
        **_measured_json(node.measured),
        "power_watts": dict(energy.watts) if energy and energy.watts else None,
        "power_meter": (energy.meter or None) if energy else None,
    }


def _state_json(state: State) -> Json:
    return {
        "state": state.word, "flags": list(state.flags), "state_source": state.source or None,
        "reason": state.reason or None, **times("event", state.since),
    }  # fmt: skip


def _compute_json(node: NodeView) -> Json:
    """Show what jobs have of a node, and what is not seen of them."""
    if node.kind != "compute":
        return {
            "jobs": None,
            "allocated": None,
            "slurmctld": None,
            "gpus": None,
            "exporter_up": None,
            "unobserved": None,
        }
    held = node.held
    return {
        "jobs": len(node.jobs),
        "allocated": {
            "cpus": held.cpus, "memory_bytes": held.memory_bytes, "gpus": dict(held.gpus),
            "estimated": held.estimated, "source": _HELD,
        },
        "slurmctld": _told_json(node.told),
        "gpus": None if node.observed_gpus is None else {
            "observed": node.observed_gpus, "used": value(node.used_gpus, "gpus", None, GPU),
        },
        "exporter_up": node.exporter_up,
        "unobserved": None if node.unobserved is None else {
            "jobs": len(node.unobserved), "cause": node.cause,
            "explanation": EXPLANATIONS[node.cause] if node.cause else None,
        },
    }  # fmt: skip


def _told_json(told: Told | None) -> Json | None:
    if told is None or told.cpus_allocated is None:
        return None
    return {
        "allocated_cpus": told.cpus_allocated, "allocated_memory_bytes": told.memory_allocated_bytes,
        "allocated_gpus": told.gpus_allocated,
    }  # fmt: skip


def _measured_json(measured: Mapping[str, float]) -> Json:
    """Show what node_exporter sees of the host."""

    def less(whole: str, part: str) -> float | None:
        if whole not in measured or part not in measured:
            return None
        return max(0.0, measured[whole] - measured[part])

    return {
        "load": value(measured.get("load1"), "tasks", None, _HOST),
        "busy_cpus": value(less("cpus", "resting_cpus"), "cpus", None, _HOST),
        "memory_used": value(less("memory_total_bytes", "memory_available_bytes"), "bytes", None, _HOST),
        "scratch_size": value(measured.get("scratch_bytes"), "bytes", None, _HOST),
        "scratch_used": value(less("scratch_bytes", "scratch_available_bytes"), "bytes", None, _HOST),
    }


def run_on_node_json(run: Run, node: NodeView, at: float) -> Json:
    """Show one run, and its part of a node."""
    part = node.parts.get(run.run_id) or part_of(run, capacity(node))
    return {
        **run_json(run, at),
        "on_node": {
            "cpus": part.cpus, "memory_bytes": part.memory_bytes, "gpus": dict(part.gpus), "estimated": part.estimated,
        },
        "observed": None if node.unobserved is None or not run.holds_resources else run.job_id not in node.unobserved,
    }  # fmt: skip


def partitions_json(view: ClusterView) -> list[Json]:
    """Show the open runs of each partition (a pending one is in all that it names), and what slurmctld says of it."""
    states: defaultdict[str, Counter[str]] = defaultdict(Counter)
    held: defaultdict[str, list[Run]] = defaultdict(list)
    for job in view.jobs:
        run = job.run
        for partition in filter(None, run.partition.split(",")) if run.is_open else ():
            states[partition][run.state.name.lower()] += max(1, run.pending_tasks)
            if run.holds_resources:
                held[partition].append(run)
    told = view.scheduler.partitions if view.scheduler else {}
    return [
        {"partition": name, "jobs": dict(states[name]), "allocated": _sum(held[name]), "slurmctld": told.get(name)}
        for name in sorted(states.keys() | told.keys())
    ]


def _sum(runs: Iterable[Run]) -> Json:
    held = [run.held for run in runs]
    gpus: Counter[str] = Counter()
    for each in held:
        gpus.update(each.gpus)
    known = [each.memory_bytes for each in held if each.memory_bytes is not None]
    cpus, memory = sum(each.cpus for each in held), sum(known) if known or not held else None
    return {"cpus": cpus, "memory_bytes": memory, "gpus": dict(gpus)}


def scheduler_json(told: Scheduler | None) -> Json | None:
    """Show what slurmctld says of the whole cluster, through an exporter; null without one."""
    if told is None:
        return None
    return {
        "cpus": dict(told.cpus), "gpus": dict(told.gpus), "nodes": dict(told.node_counts), "jobs": dict(told.jobs),
    }  # fmt: skip


def reservation_json(reservation: Reservation) -> Json:
    """Show one reservation, or one part of its time where it was changed."""
    return {
        "name": reservation.name, **times("start", reservation.start), **times("end", reservation.end),
        "nodes": list(reservation.nodes),
    }  # fmt: skip
