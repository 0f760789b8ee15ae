"""What exporters of slurmctld's state show: the branch osc, its older relatives, slurmctld's own endpoint (≥ 25.11)."""

import enum
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from tests.lab.feed import RunningJob
from tests.lab.slurm_config import CPUS_PER_NODE, GPU_NODES, GPUS_PER_NODE, MEMORY_MB_PER_NODE, NODES

LEVELS: Mapping[str, float] = {"def-kim": 1.842311, "def-amartin": 0.317446, "rrg-roy": float("inf")}
_WRAP = 65_536
BIG_NODE = "big01"


class SchedulerKind(enum.Enum):
    """Which exporter the site has."""

    OSC = "osc"
    OLDER = "older"
    OWN_ENDPOINT = "own_endpoint"


class SchedulerFault(enum.Enum):
    """What can be wrong with it."""

    COLLECT_ERROR = "collect_error"
    """The collector of CPUs has failed, and shows zeros."""
    WRAPPED = "wrapped"
    """A node with more CPUs than 16 bits count is allocated."""
    POWERING_DOWN = "powering_down"
    """Three nodes power down, which the own endpoint shows as powering up."""


@dataclass(frozen=True)
class Share:
    """What is allocated of one node."""

    cpus: int = 0
    memory_bytes: int = 0
    gpus: int = 0

    @property
    def state(self) -> str:
        if not self.cpus:
            return "idle"
        return "allocated" if self.cpus >= CPUS_PER_NODE else "mixed"


def slurm_exporter(kind: SchedulerKind, jobs: Sequence[RunningJob], faults: Set[SchedulerFault]) -> Iterator[Metric]:
    """Yield the page of one kind of exporter."""
    shares = {node: _share(node, jobs) for node in NODES}
    if kind is SchedulerKind.OSC:
        yield from _osc(shares, jobs, faults)
    elif kind is SchedulerKind.OLDER:
        yield from _older(shares)
    else:
        yield from _own_endpoint(shares, jobs, faults)


def _share(node: str, jobs: Sequence[RunningJob]) -> Share:
    on_it = [job.nodes[node] for job in jobs if node in job.nodes]
    return Share(
        sum(len(share.cpus) for share in on_it),
        sum(share.memory_bytes for share in on_it),
        sum(share.gpus for share in on_it),
    )


def _numbers(values: Mapping[str, float]) -> Iterator[Metric]:
    for name, value in values.items():
        yield GaugeMetricFamily(name, name.replace("_", " "), value=value)


def _labelled(name: str, labels: Sequence[str], rows: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, name.replace("_", " "), labels=labels)
    for values, value in rows.items():
        family.add_metric(values, value)
    return family


def _osc(shares: Mapping[str, Share], jobs: Sequence[RunningJob], faults: Set[SchedulerFault]) -> Iterator[Metric]:
    failed = SchedulerFault.COLLECT_ERROR in faults
    cpus, gpus = sum(share.cpus for share in shares.values()), sum(share.gpus for share in shares.values())
    all_cpus, all_gpus = len(NODES) * CPUS_PER_NODE, len(GPU_NODES) * GPUS_PER_NODE
    told = {"alloc": cpus, "idle": all_cpus - cpus, "other": 0, "total": all_cpus}
    yield from _numbers({f"slurm_cpus_{key}": 0.0 if failed else value for key, value in told.items()})
    yield from _numbers({"slurm_gpus_alloc": gpus, "slurm_gpus_idle": all_gpus - gpus, "slurm_gpus_total": all_gpus})
    yield _labelled("slurm_account_levelfs", ("account",), {(account,): level for account, level in LEVELS.items()})
    states = {(node, share.state): 1.0 for node, share in shares.items()}
    yield _labelled("slurm_node_state_info", ("node", "state"), states)
    yield _labelled("slurm_node_features_info", ("node", "features"), {(node, "ib,lab"): 1.0 for node in NODES})
    yield from _numbers({"slurm_queue_running": len(jobs), "slurm_scheduler_backfill_last_cycle": 1.1876543e07})
    collectors = {(name,): float(failed and name == "cpus") for name in ("cpus", "gpus", "nodes", "queue", "scheduler")}
    yield _labelled("slurm_exporter_collect_error", ("collector",), collectors)
    yield _labelled("slurm_exporter_collect_timeout", ("collector",), dict.fromkeys(collectors, 0.0))


def _older(shares: Mapping[str, Share]) -> Iterator[Metric]:
    def of_nodes(name: str, values: Mapping[str, float]) -> Metric:
        rows = {(node, shares[node].state): value for node, value in values.items()}
        return _labelled(name, ("node", "status"), rows)

    yield of_nodes("slurm_node_cpu_alloc", {node: share.cpus for node, share in shares.items()})
    yield of_nodes("slurm_node_cpu_total", dict.fromkeys(shares, CPUS_PER_NODE))
    yield of_nodes("slurm_node_mem_alloc", {node: share.memory_bytes >> 20 for node, share in shares.items()})
    yield of_nodes("slurm_node_mem_total", dict.fromkeys(shares, MEMORY_MB_PER_NODE))
    yield from _numbers({"slurm_cpus_alloc": sum(share.cpus for share in shares.values())})


def _own_endpoint(
    shares: Mapping[str, Share], jobs: Sequence[RunningJob], faults: Set[SchedulerFault]
) -> Iterator[Metric]:
    wrapped = SchedulerFault.WRAPPED in faults
    allocated = {node: share.cpus for node, share in shares.items()} | ({BIG_NODE: 70_000} if wrapped else {})
    sizes = dict.fromkeys(shares, CPUS_PER_NODE) | ({BIG_NODE: 70_000} if wrapped else {})
    yield _labelled("slurm_node_cpus", ("node",), {(node,): cpus for node, cpus in sizes.items()})
    yield _labelled("slurm_node_cpus_alloc", ("node",), {(node,): cpus for node, cpus in allocated.items()})
    memory = {(node,): share.memory_bytes for node, share in shares.items()}
    yield _labelled("slurm_node_memory_alloc_bytes", ("node",), memory)
    yield _labelled("slurm_node_gpus_alloc", ("node",), {(node,): share.gpus for node, share in shares.items()})
    yield from _numbers(
        {
            "slurm_jobs_cpus_alloc": sum(allocated.values()) % _WRAP,
            "slurm_jobs_running": len(jobs),
            "slurm_nodes_powering_up": 3.0 if SchedulerFault.POWERING_DOWN in faults else 0.0,
        }
    )
    running: dict[tuple[str, ...], float] = {}
    for job in jobs:
        running[(job.user,)] = running.get((job.user,), 0.0) + 1
    yield _labelled("slurm_user_jobs_running", ("username",), running)
