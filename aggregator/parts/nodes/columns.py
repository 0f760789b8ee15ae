"""The tables of nodes, of partitions, and of what slurmctld says of the whole cluster."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.parts.jobs.declare import GPU_TYPE, fact

_RUNS: Final = "slurmacct: runs on the node, a run of several nodes spread over them (docs/nodes.md)"
_SAID: Final = "an exporter of slurmctld's state (docs/nodes.md)"
_SEEN: Final = "slurmacct nodelist against slurm-job-exporter's series"
_HOST: Final = "not a host that node_exporter shows"
_NO_NODE: Final = "no compute node"
_NOT_READ: Final = "no compute node, or the use of jobs could not be read"
_NOT_SAID: Final = "no exporter shows it"
_BLIND: Final = (
    "1 while slurm-job-exporter is up and shows none of several jobs that have been on the node for minutes."
)
_OF_NODE: Final = {"node": "node"}


def _gauge(
    name: str, help: str, source: str, dtype: Any = pl.Float64, null: str = _NO_NODE, cost: str = "nodes"
) -> Column:
    """Declare a number of each node that is a family of its own: `hpc_node_` and the column's name."""
    family = Family(name=f"hpc_node_{name}", help=help, cost=cost, source=source)
    return fact(name, dtype, help, null, Sample(family=family))


_INFO: Final = Family(
    name="hpc_node_info", help="Facts of the node as labels, always 1.", cost="nodes",
    source="slurmacct, slurm-exporter slurm_node_features_info, configuration", labels=("kind", "features"),
)  # fmt: skip
_STATE: Final = Family(
    name="hpc_node_state",
    help="1 for the node's state as sinfo words it, and for each of its flags (not_responding, powered_down …).",
    cost="1–2 × nodes", source="slurm-exporter slurm_node_state_info", labels=("state",),
)  # fmt: skip
_GPUS: Final = Family(
    name="hpc_node_allocated_gpus", help="GPUs of the node that running jobs hold, by Slurm's GPU type.",
    cost="nodes with GPU jobs", source=_RUNS, labels=("gpu_type",),
)  # fmt: skip
_NODE: Final = fact("node", pl.String, "Name of the node, by the configured rule.")
NODES: Final = Table(
    name="nodes", of="node of any kind", collect="nodes", labels=_OF_NODE, size="cpus",
    columns=(
        _NODE,
        fact("kind", pl.String, "compute, login or transfer.", sample=Sample(
            family=_INFO, label_columns={"kind": "kind", "features": "features"}, constant=True)),
        fact("state", pl.String, "Its state as sinfo words it, by slurmctld.", _NOT_SAID),
        fact("flags", pl.List(pl.String), "Flags beside the state.", _NOT_SAID),
        fact("features", pl.String, "Its features, by commas.", "none are shown"),
        fact("cpus", pl.Float64, "Its CPUs by slurmctld, else by node_exporter."),
        fact("memory_bytes", pl.Float64, "Its memory by slurmctld, else by node_exporter."),
        fact("gpus", pl.Float64, "Its GPUs by slurmctld.", _NOT_SAID),
        _gauge("allocated_cpus", "CPUs of the node that running jobs hold, suspended ones none.", _RUNS),
        _gauge("allocated_memory_bytes", "Memory of the node that running jobs hold.", _RUNS,
               null="no compute node, or Slurm does not manage memory"),
        _gauge("allocated_estimated",
               "1 if a run of several nodes is on the node: what it holds here is estimated, and so are the sums.",
               _RUNS, pl.Boolean),
        fact("slurmctld_allocated_cpus", pl.Float64, "CPUs that are allocated by slurmctld.", _NOT_SAID),
        fact("slurmctld_allocated_memory_bytes", pl.Float64, "Memory that is allocated by slurmctld.", _NOT_SAID),
        fact("slurmctld_allocated_gpus", pl.Float64, "GPUs that are allocated by slurmctld.", _NOT_SAID),
        _gauge("jobs", "Jobs that hold something on the node.", "slurmacct nodelist", pl.Int64),
        _gauge("unobserved_jobs",
               "Jobs on the node of which slurm-job-exporter shows nothing after two scrapes (docs/nodes.md).", _SEEN,
               pl.Int64, _NOT_READ),
        fact("cause", pl.String, "Why some jobs are not observed.", "all are, or it is not known"),
        _gauge("exporter_up", "1 if slurm-job-exporter of the node can be scraped.",
               "up of the targets whose scrape job and port deliver job series", pl.Boolean,
               "not known which targets are slurm-job-exporters"),
        _gauge("exporter_blind", _BLIND, _SEEN, pl.Boolean, "its exporter is not up", "nodes whose exporter is up"),
        fact("observed_gpus", pl.Int64, "GPUs of jobs that have a series.", _NOT_READ),
        fact("used_gpus", pl.Float64, "Sum of their utilisation.", "it is known of none"),
        fact("load", pl.Float64, "Load of the last minute.", _HOST),
        fact("busy_cpus", pl.Float64, "CPUs that are busy, whoever keeps them busy.", _HOST),
        fact("memory_used_bytes", pl.Float64, "Memory that is not available.", _HOST),
        fact("scratch_bytes", pl.Float64, "Size of the local scratch.", _HOST),
        fact("scratch_used_bytes", pl.Float64, "What is used of it.", _HOST),
    ),
)  # fmt: skip
NODE_STATES: Final = Table(
    name="node_states", of="state or flag of a node", collect="nodes", labels=_OF_NODE,
    columns=(_NODE, fact("state", pl.String, "By slurmctld.", sample=Sample(
        family=_STATE, label_columns={"state": "state"}, constant=True))),
)  # fmt: skip
NODE_GPUS: Final = Table(
    name="node_gpus", of="GPU type on a node", collect="nodes", labels=_OF_NODE,
    columns=(
        _NODE, GPU_TYPE,
        fact("count", pl.Float64, "How many running jobs hold.", sample=Sample(
            family=_GPUS, label_columns={"gpu_type": "gpu_type"})),
    ),
)  # fmt: skip
NODE_RUNS: Final = Table(
    name="node_runs", of="run on a node", collect="nodes", labels=_OF_NODE,
    columns=(
        _NODE,
        fact("run_id", pl.UInt64, "Key of the run."),
        fact("job_id", pl.Int64, "Numeric id of the job."),
        fact("allocated_cpus", pl.Float64, "CPUs that it holds here; none while it is suspended."),
        fact("allocated_memory_bytes", pl.Float64, "Memory that it holds here.", "Slurm does not manage memory"),
        fact("gpus_ratio", pl.Float64, "Share of the run's GPUs that are here."),
        fact("estimated", pl.Boolean, "Whether it is on several nodes, over which what it holds is spread."),
        fact("observed", pl.Boolean, "Whether slurm-job-exporter shows it, or need not yet.", _NOT_READ),
    ),
)  # fmt: skip


def _counted(kind: str, help: str, cost: str) -> Column:
    """Declare what slurmctld counts of a kind by state."""
    family = Family(name=f"hpc_cluster_slurmctld_{kind}", help=help, cost=cost, source=_SAID, labels=("state",))
    return fact(kind, pl.Float64, help, _NOT_SAID, Sample(family=family, label_columns={"state": "state"}))


_CAPACITY: Final = Family(
    name="hpc_cluster_slurmctld_capacity", help="All CPUs and GPUs of the cluster, as slurmctld counts them.", cost="2",
    source=_SAID, labels=("resource",),
)  # fmt: skip
SLURMCTLD: Final = Table(
    name="slurmctld", of="cluster that an exporter of slurmctld's state shows", collect="nodes", labels={},
    columns=(
        *(
            fact(name, pl.Float64, f"All {name.upper()[:-1]}s of the cluster.", _NOT_SAID, Sample(
                family=_CAPACITY, labels={"resource": name}))
            for name in ("cpus", "gpus")
        ),
        fact("repairs", pl.List(pl.String), "What it gets wrong and was put right."),
    ),
)  # fmt: skip
SLURMCTLD_STATES: Final = Table(
    name="slurmctld_states", of="state by slurmctld", collect="nodes", labels={},
    columns=(
        fact("state", pl.String, "Of CPUs and GPUs: allocated, idle or other; of nodes and jobs their own."),
        _counted("cpus", "CPUs that slurmctld calls allocated, idle or other (of no use now).", "3"),
        _counted("gpus", "GPUs that slurmctld calls allocated, idle or other (of no use now).", "3"),
        _counted("nodes", "Nodes by their state as sinfo words it, each node once.", "states"),
        _counted("jobs", "Jobs by their state in slurmctld; ended ones are left out.", "5"),
    ),
)  # fmt: skip

_PARTITION: Final = fact("partition", pl.String, "Name of the partition.")
_OF_PARTITION: Final[Mapping[str, str]] = {"partition": "partition"}
PARTITIONS: Final = Table(
    name="partitions", of="partition", collect="nodes", labels=_OF_PARTITION,
    columns=(
        _PARTITION,
        fact("allocated_cpus", pl.Int64, "CPUs that its running jobs hold, suspended ones none."),
        fact("allocated_memory_bytes", pl.Int64, "Memory that they hold.", "Slurm does not manage memory"),
        fact("is_in_slurmctld", pl.Boolean, "Whether an exporter of slurmctld's state shows it."),
        *(
            fact(f"slurmctld_{name}", pl.Float64, f"{help} by slurmctld.", _NOT_SAID)
            for name, help in {
                "cpus": "Its CPUs", "cpus_allocated": "CPUs that are allocated", "gpus": "Its GPUs",
                "gpus_allocated": "GPUs that are allocated", "gpus_idle": "GPUs that are idle", "nodes": "Its nodes",
            }.items()
        ),
    ),
)  # fmt: skip


def _of_partitions(name: str, of: str, *columns: Column) -> Table:
    return Table(name=name, of=of, collect="nodes", labels=_OF_PARTITION, columns=(_PARTITION, *columns))


PARTITION_STATES: Final = _of_partitions(
    "partition_states", "state of jobs of a partition",
    fact("state", pl.String, "Slurm's state in lower case."),
    fact("jobs", pl.Int64, "Open jobs, array tasks counted; a pending one is in all partitions that it names."),
)  # fmt: skip
PARTITION_GPUS: Final = _of_partitions(
    "partition_gpus", "GPU type in a partition", GPU_TYPE, fact("count", pl.Int64, "How many its running jobs hold.")
)
AGREEMENT: Final = Table(
    name="gpu_agreement", of="cluster", collect="nodes", labels={},
    columns=(
        fact("agrees", pl.Boolean, "Whether slurmacct and the exporters agree on who has GPUs.", "nothing to compare"),
        fact("warning", pl.String, "What is wrong.", "nothing"),
    ),
)  # fmt: skip
TABLES: Final = (
    NODES, NODE_STATES, NODE_GPUS, NODE_RUNS, SLURMCTLD, SLURMCTLD_STATES, PARTITIONS, PARTITION_STATES,
    PARTITION_GPUS, AGREEMENT,
)  # fmt: skip
