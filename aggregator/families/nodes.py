"""Nodes: what is on them, what slurmctld says of them, and what is not seen of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from aggregator.families.energy import CLUSTER
from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.node import NodeView, Scheduler, nodes_by_state
from aggregator.model.view import ClusterView

ClusterSamples = Callable[[ClusterView], Iterable[tuple[LabelValues, float]]]
_RUNS = "slurmacct: runs on the node, a run of several nodes spread over them (hpc_node_allocated_estimated)"
_SEEN = "slurmacct nodelist against slurm-job-exporter's series"


def _every(view: View) -> Sequence[NodeView]:
    return view.hosts if isinstance(view, ClusterView) else ()


def _compute(view: View) -> Sequence[NodeView]:
    return [node for node in _every(view) if node.kind == "compute"]


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


def _info(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    yield (node.kind, node.told.features if node.told else ""), 1.0


def _states(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    words = (node.told.state, *node.told.flags) if node.told else ()
    return (((word,), 1.0) for word in dict.fromkeys(words) if word)


def _gpus(node: NodeView) -> Iterable[tuple[LabelValues, float]]:
    return (((gpu_type,), count) for gpu_type, count in node.held.gpus.items())


def _of_cluster(numbers: Callable[[Scheduler], Mapping[str, float]], *left_out: str) -> ClusterSamples:
    """Make the samples of slurmctld's numbers by state, without sums and parts of other states."""

    def samples(view: ClusterView) -> Iterable[tuple[LabelValues, float]]:
        found = numbers(view.scheduler) if view.scheduler else {}
        return (((state,), number) for state, number in found.items() if state not in left_out)

    return samples


def _size(numbers: Callable[[Scheduler], Mapping[str, float]]) -> Callable[[ClusterView], float | None]:
    return lambda view: numbers(view.scheduler).get("total") if view.scheduler else None


def _unobserved(node: NodeView) -> float | None:
    return None if node.unobserved is None else float(len(node.unobserved))


def _up(node: NodeView) -> float | None:
    return None if node.exporter_up is None else float(node.exporter_up)


def _blind(node: NodeView) -> float | None:
    return float(node.cause == "exporter_blind") if node.exporter_up else None


_SLURMCTLD = "slurm-exporter, or slurmctld's own endpoint (docs/nodes.md)"
CLUSTER_FAMILIES: tuple[Family[ClusterView], ...] = (
    Family(
        name="hpc_cluster_slurmctld_cpus", help="CPUs as slurmctld says: allocated, idle, other (down, drained …).",
        entity=CLUSTER, cost="3", source=_SLURMCTLD, labels=("state",),
        samples=_of_cluster(lambda told: told.cpus, "total"),
    ),
    Family(
        name="hpc_cluster_slurmctld_size_cpus", help="CPUs that slurmctld has, whatever their state.", entity=CLUSTER,
        cost="1", source=_SLURMCTLD, value=_size(lambda told: told.cpus),
    ),
    Family(
        name="hpc_cluster_slurmctld_gpus", help="GPUs as slurmctld says: allocated, idle, other (down, drained …).",
        entity=CLUSTER, cost="3", source=_SLURMCTLD, labels=("state",),
        samples=_of_cluster(lambda told: told.gpus, "total"),
    ),
    Family(
        name="hpc_cluster_slurmctld_size_gpus", help="GPUs that slurmctld has, whatever their state.", entity=CLUSTER,
        cost="1", source=_SLURMCTLD, value=_size(lambda told: told.gpus),
    ),
    Family(
        name="hpc_cluster_slurmctld_nodes",
        help="Nodes by state, each once, where an exporter shows states node by node; else as it counts them.",
        entity=CLUSTER, cost="states of nodes", source=_SLURMCTLD, labels=("state",),
        samples=_of_cluster(nodes_by_state, "total"),
    ),
    Family(
        name="hpc_cluster_slurmctld_jobs",
        help="Jobs by state as slurmctld says; more open ones in hpc_account_jobs are runaway jobs.",
        entity=CLUSTER, cost="states of jobs", source=_SLURMCTLD, labels=("state",),
        samples=_of_cluster(lambda told: told.jobs, "total", "pending_dependency"),
    ),
)  # fmt: skip
FAMILIES: tuple[Family[NodeView], ...] = (
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
)  # fmt: skip
