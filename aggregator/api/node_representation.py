"""How nodes, partitions and reservations look in JSON: pure functions."""

from collections import defaultdict
from typing import Final

import polars as pl

from aggregator.api.energy_representation import by_component
from aggregator.api.representation import GPU, Json, Row, allocation_of, run_json, times, value, whole
from aggregator.engine.frame import Frames
from aggregator.model.around import Reservation
from aggregator.model.node import EXPLANATIONS
from aggregator.model.tres import Allocation
from aggregator.model.view import ClusterView

_HOST: Final = "node_exporter via Prometheus"
_HELD: Final = "slurmacct tres_alloc ÷ nodes"
_SIZE: Final = ("cpus", "memory_bytes", "gpus")
# Measured values of a host: field, its column of `nodes`, and its unit.
_MEASURED: Final = (
    ("load", "load", "tasks"),
    ("busy_cpus", "busy_cpus", "cpus"),
    ("memory_used", "memory_used_bytes", "bytes"),
    ("scratch_size", "scratch_bytes", "bytes"),
    ("scratch_used", "scratch_used_bytes", "bytes"),
)
_COUNTED: Final = ("cpus", "gpus", "nodes", "jobs")
_OF_PARTITION: Final = "slurmctld_"


def nodes_json(view: ClusterView, nodes: pl.DataFrame) -> list[Json]:
    """Show nodes now, given their rows of `nodes` with states; null is what is not known."""
    energy = view.frames["node_energy"].join(nodes, on="node", how="semi")
    power = {row["node"]: row for row in energy.iter_rows(named=True)}
    held = view.frames["node_gpus"].join(nodes, on="node", how="semi", maintain_order="left")
    gpus = _nested(held, "node", "gpu_type", "count")
    return [_node_json(row, gpus[row["node"]], power.get(row["node"])) for row in nodes.iter_rows(named=True)]


def _nested(frame: pl.DataFrame, key: str, of: str, number: str) -> defaultdict[str, Json]:
    """Nest key → column → number."""
    found: defaultdict[str, Json] = defaultdict(dict)
    for name, kind, count in frame.select(key, of, number).iter_rows():
        found[name][kind] = count
    return found


def _node_json(row: Row, gpus: Json, energy: Row | None) -> Json:
    return {
        "node": row["node"],
        "kind": row["kind"],
        **_state_json(row),
        "features": row["features"].split(",") if row["features"] else [],
        "capacity": {name: row[name] for name in _SIZE},
        **_compute_json(row, gpus),
        **{field: value(row[column], unit, None, _HOST) for field, column, unit in _MEASURED},
        "power_watts": (by_component(energy, "watts") or None) if energy else None,
        "power_meter": energy["meter"] if energy else None,
    }


def _state_json(row: Row) -> Json:
    return {
        "state": row["state"], "flags": row["flags"] or [], "state_source": row["state_source"],
        "reason": row["reason"], **times("event", row["since"]),
    }  # fmt: skip


def _compute_json(row: Row, gpus: Json) -> Json:
    """Show what jobs have of a node, and what is not seen of them."""
    if row["kind"] != "compute":
        return dict.fromkeys(("jobs", "allocated", "slurmctld", "gpus", "exporter_up", "unobserved"))
    return {
        "jobs": row["jobs"],
        "allocated": {
            **_held_json(row, is_whole=not row["allocated_estimated"]), "gpus": gpus,
            "estimated": row["allocated_estimated"], "source": _HELD,
        },
        "slurmctld": None if row["slurmctld_allocated_cpus"] is None else {
            f"allocated_{name}": row[f"slurmctld_allocated_{name}"] for name in _SIZE
        },
        "gpus": None if row["observed_gpus"] is None else {
            "observed": row["observed_gpus"], "used": value(row["used_gpus"], "gpus", None, GPU),
        },
        "exporter_up": row["exporter_up"],
        "unobserved": None if row["unobserved_jobs"] is None else {
            "jobs": row["unobserved_jobs"], "cause": row["cause"],
            "explanation": EXPLANATIONS[row["cause"]] if row["cause"] else None,
        },
    }  # fmt: skip


def _held_json(row: Row, *, is_whole: bool) -> Json:
    """Show CPUs and memory that are held; what is not estimated is whole."""
    cpus, memory = row["allocated_cpus"], row["allocated_memory_bytes"]
    return {
        "cpus": whole(cpus) if is_whole else cpus,
        "memory_bytes": whole(memory) if is_whole else memory,
    }


def run_on_node_json(row: Row, cluster: str, node: Row, part: Row | None) -> Json:
    """Show one run, and its part of a node: its row of `node_runs`, None where it is not there now."""
    held = allocation_of(row, "granted")
    return {
        **run_json(row, cluster),
        "on_node": _even_part(held, len(set(row["nodes"])), node) if part is None else _part(held, part),
        "observed": part["observed"] if part else None,
    }


def _part(held: Allocation, part: Row) -> Json:
    share = part["gpus_ratio"] if part["estimated"] else 1
    return {
        **_held_json(part, is_whole=not part["estimated"]),
        "gpus": {gpu_type: count * share for gpu_type, count in held.gpus.items()},
        "estimated": part["estimated"],
    }


def _even_part(held: Allocation, nodes: int, node: Row) -> Json:
    """Show what a run that has ended held of one of its nodes: an even part, and no more than the node has."""

    def part(total: float, most: float | None) -> float:
        return total / max(1, nodes) if nodes <= 1 or most is None else min(total / nodes, most)

    share = part(held.gpu_count, node["gpus"]) / held.gpu_count if held.gpu_count else 0.0
    return {
        "cpus": part(held.cpus, node["cpus"]),
        "memory_bytes": None if held.memory_bytes is None else part(held.memory_bytes, node["memory_bytes"]),
        "gpus": {gpu_type: count * share for gpu_type, count in held.gpus.items()},
        "estimated": nodes > 1,
    }


def partitions_json(view: ClusterView) -> list[Json]:
    """Show the open runs of each partition (a pending one is in all that it names), and what slurmctld says of it."""
    states = _nested(view.frames["partition_states"], "partition", "state", "jobs")
    gpus = _nested(view.frames["partition_gpus"], "partition", "gpu_type", "count")
    return [
        {
            "partition": row["partition"],
            "jobs": states[row["partition"]],
            "allocated": {
                "cpus": row["allocated_cpus"], "memory_bytes": row["allocated_memory_bytes"],
                "gpus": gpus[row["partition"]],
            },
            "slurmctld": _said_json(row) if row["is_in_slurmctld"] else None,
        }
        for row in view.frames["partitions"].iter_rows(named=True)
    ]  # fmt: skip


def _said_json(row: Row) -> Json:
    said = {name.removeprefix(_OF_PARTITION): number for name, number in row.items() if name.startswith(_OF_PARTITION)}
    return {name: number for name, number in said.items() if number is not None}


def scheduler_json(frames: Frames) -> Json | None:
    """Show what slurmctld says of the whole cluster, through an exporter; null without one."""
    (row,) = frames["slurmctld"].to_dicts() or (None,)
    if row is None:
        return None
    found: dict[str, Json] = {kind: {} for kind in _COUNTED}
    for state in (*frames["slurmctld_states"].iter_rows(named=True), {"state": "total", **row}):
        for kind in _COUNTED:
            if (number := state.get(kind)) is not None:
                found[kind][state["state"]] = number
    return found


def reservation_json(reservation: Reservation) -> Json:
    """Show one reservation, or one part of its time where it was changed."""
    return {
        "name": reservation.name, **times("start", reservation.start), **times("end", reservation.end),
        "nodes": list(reservation.nodes),
    }  # fmt: skip
