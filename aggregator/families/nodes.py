"""Nodes: what is on them, what slurmctld says of them, and what is not seen of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.node import NodeView, Scheduler
from aggregator.model.view import ClusterView

_RUNS = "slurmacct: runs on the node, a run of several nodes spread over them (docs/nodes.md)"
_TOLD = "an exporter of slurmctld's state (docs/nodes.md)"
_SEEN = "slurmacct nodelist against slurm-job-exporter's series"


def _every(view: View) -> Sequence[NodeView]:
    return view.hosts if isinstance(view, ClusterView) else ()


def _compute(view: View) -> Sequence[NodeView]:
    return [node for node in _every(view) if node.kind == "compute"]


def _scheduler(view: View) -> Sequence[Scheduler]:
    return [view.scheduler] if isinstance(view, ClusterView) and view.scheduler else []


def _parts(numbers: Mapping[str, float]) -> Iterable[tuple[LabelValues, float]]:
    """Give the parts of a whole, without it: whoever adds them up has it."""
    return (((state,), value) for state, value in numbers.items() if state != "total")


def _capacity(told: Scheduler) -> Iterable[tuple[LabelValues, float]]:
    for resource, numbers in (("cpus", told.cpus), ("gpus", told.gpus)):
        if "total" in numbers:
            yield (resource,), numbers["total"]


NODE: Entity[NodeView] = Entity(
    name="node of any kind",
    group="nodes",
    labels=("cluster", "node"),
    of=_every,
    label_values=lambda view, node: (cluster_of(view), node.name),
)
COMPUTE: Entity[NodeView] = Entity(
    name="compute node",
    group="nodes",
    labels=("cluster", "node"),
    of=_compute,
    label_values=lambda view, node: (cluster_of(view), node.name),
)


SLURMCTLD: Entity[Scheduler] = Entity(
    name="cluster that an exporter of slurmctld's state shows",
    group="nodes",
    labels=("cluster",),
    of=_scheduler,
    label_values=lambda view, _: (cluster_of(view),),
)


def _info(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    yield (node.kind, node.told.features if node.told else ""), 1.0


def _states(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    words = (node.told.state, *node.told.flags) if node.told else ()
    return (((word,), 1.0) for word in dict.fromkeys(words) if word)


def _gpus(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    return (((gpu_type,), count) for gpu_type, count in node.held.gpus.items())


def _unobserved(node: NodeView) -> float | None:
    return None if node.unobserved is None else float(len(node.unobserved))


def _up(node: NodeView) -> float | None:
    return None if node.exporter_up is None else float(node.exporter_up)


def _blind(node: NodeView) -> float | None:
    return float(node.cause == "exporter_blind") if node.exporter_up else None


FAMILIES: tuple[Family[Any], ...] = (
    Family(
        name="hpc_node_info", help="Facts of the node as labels, always 1.", entity=NODE, cost="nodes",
        source="slurmacct, slurm-exporter slurm_node_features_info, configuration", labels=("kind", "features"),
        samples=_info,
    ),
    Family(
        name="hpc_node_state",
        help="1 for the node's state as sinfo words it, and for each of its flags (not_responding, powered_down …).",
        entity=COMPUTE, cost="1–2 × nodes", source="slurm-exporter slurm_node_state_info", labels=("state",),
        samples=_states,
    ),
    Family(
        name="hpc_node_allocated_cpus", help="CPUs of the node that running jobs hold, suspended ones none.",
        entity=COMPUTE, cost="nodes", source=_RUNS, value=lambda node: node.held.cpus,
    ),
    Family(
        name="hpc_node_allocated_memory_bytes", help="Memory of the node that running jobs hold.", entity=COMPUTE,
        cost="nodes", source=_RUNS, value=lambda node: node.held.memory_bytes,
    ),
    Family(
        name="hpc_node_allocated_gpus", help="GPUs of the node that running jobs hold, by Slurm's GPU type.",
        entity=COMPUTE, cost="nodes with GPU jobs", source=_RUNS, labels=("gpu_type",), samples=_gpus,
    ),
    Family(
        name="hpc_node_allocated_estimated",
        help="1 if a run of several nodes is on the node: what it holds here is estimated, and so are the sums.",
        entity=COMPUTE, cost="nodes", source=_RUNS, value=lambda node: float(node.held.estimated),
    ),
    Family(
        name="hpc_node_jobs", help="Jobs that hold something on the node.", entity=COMPUTE, cost="nodes",
        source="slurmacct nodelist", value=lambda node: float(len(node.jobs)),
    ),
    Family(
        name="hpc_node_unobserved_jobs",
        help="Jobs on the node of which slurm-job-exporter shows nothing after two scrapes (docs/nodes.md).",
        entity=COMPUTE, cost="nodes", source=_SEEN, value=_unobserved,
    ),
    Family(
        name="hpc_node_exporter_up", help="1 if slurm-job-exporter of the node can be scraped.", entity=COMPUTE,
        cost="nodes", source="up of the targets whose scrape job and port deliver job series", value=_up,
    ),
    Family(
        name="hpc_node_exporter_blind",
        help="1 while slurm-job-exporter is up and shows none of several jobs that have been on the node for minutes.",
        entity=COMPUTE, cost="nodes whose exporter is up", source=_SEEN, value=_blind,
    ),
    Family(
        name="hpc_cluster_slurmctld_cpus", help="CPUs that slurmctld calls allocated, idle or other (of no use now).",
        entity=SLURMCTLD, cost="3", source=_TOLD, labels=("state",), samples=lambda told: _parts(told.cpus),
    ),
    Family(
        name="hpc_cluster_slurmctld_gpus", help="GPUs that slurmctld calls allocated, idle or other (of no use now).",
        entity=SLURMCTLD, cost="3", source=_TOLD, labels=("state",), samples=lambda told: _parts(told.gpus),
    ),
    Family(
        name="hpc_cluster_slurmctld_capacity", help="All CPUs and GPUs of the cluster, as slurmctld counts them.",
        entity=SLURMCTLD, cost="2", source=_TOLD, labels=("resource",), samples=_capacity,
    ),
    Family(
        name="hpc_cluster_slurmctld_nodes", help="Nodes by their state as sinfo words it, each node once.",
        entity=SLURMCTLD, cost="states", source=_TOLD, labels=("state",),
        samples=lambda told: _parts(told.node_counts),
    ),
    Family(
        name="hpc_cluster_slurmctld_jobs", help="Jobs by their state in slurmctld; ended ones are left out.",
        entity=SLURMCTLD, cost="5", source=_TOLD, labels=("state",), samples=lambda told: _parts(told.jobs),
    ),
)  # fmt: skip
