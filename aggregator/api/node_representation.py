"""How a run's part of a node looks in JSON: pure functions."""

from typing import TypedDict

from aggregator.api.representation import Json, Row


class PartShown(TypedDict):
    """A run's part of a node."""

    cpus: float
    memory_bytes: float | None
    gpus: float
    estimated: bool


class NodeRunShown(TypedDict):
    """What a run has of a node, beside what slurmacct says of it."""

    on_node: PartShown
    observed: bool | None


def on_node_json(run: Row, node: Row, part: Row | None) -> Json:
    """Show a run's part of a node; part is its row of `node_runs`, None where it is not there now."""
    return {
        "on_node": _even_part(run, node) if part is None else _part(run, part),
        "observed": part["observed"] if part else None,
    }


def _part(run: Row, part: Row) -> Json:
    return {
        "cpus": part["allocated_cpus"],
        "memory_bytes": part["allocated_memory_bytes"],
        "gpus": run["granted_gpus"] * part["gpus_ratio"],
        "estimated": part["estimated"],
    }


def _even_part(run: Row, node: Row) -> Json:
    """Show what a run that has ended held of one of its nodes: an even part, and no more than the node has."""
    nodes = len(set(run["nodes"]))

    def part(name: str) -> float | None:
        total: float | None = run[f"granted_{name}"]
        most: float | None = node[name]
        if total is None or nodes <= 1:
            return total
        return total / nodes if most is None else min(total / nodes, most)

    return {name: part(name) for name in ("cpus", "memory_bytes", "gpus")} | {"estimated": nodes > 1}
