"""What exporters of slurmctld's state print: osc, vpenso's, rivosinc's 1.7, SckyzO's 1.8, slurmctld's own (≥ 25.11)."""

import enum
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from tests.lab.feed import RunningJob
from tests.lab.slurm_config import CPUS_PER_NODE, GPU_NODES, GPUS_PER_NODE, MEMORY_MB_PER_NODE, NODES

LEVELS: Mapping[str, float] = {"def-kim": 1.842311, "def-amartin": 0.317446, "rrg-roy": float("inf")}
_WRAP = 65_536
BIG_NODE = "big01"
IMPOSSIBLE = "def-impossible"
LAB_GPU = "a100"


class SchedulerKind(enum.Enum):
    """Which exporter the site has."""

    OSC = "osc"
    OLDER = "older"
    """vpenso's, development, without -gpus-acct."""
    RIVOSINC = "rivosinc"
    SCKYZO = "sckyzo"
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
        yield from _older(shares, jobs)
    elif kind is SchedulerKind.RIVOSINC:
        yield from _rivosinc(shares, jobs)
    elif kind is SchedulerKind.SCKYZO:
        yield from _sckyzo(shares, jobs)
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


def _sums(shares: Mapping[str, Share]) -> dict[str, dict[str, float]]:
    """Add up the CPUs and GPUs of the cluster."""
    cpus, gpus = sum(share.cpus for share in shares.values()), sum(share.gpus for share in shares.values())
    all_cpus, all_gpus = len(NODES) * CPUS_PER_NODE, len(GPU_NODES) * GPUS_PER_NODE
    return {
        "cpus": {"alloc": cpus, "idle": all_cpus - cpus, "other": 0, "total": all_cpus},
        "gpus": {"alloc": gpus, "idle": all_gpus - gpus, "other": 0, "total": all_gpus},
    }


def _states(shares: Mapping[str, Share]) -> dict[str, float]:
    """Count the nodes by the short names of states that the metrics of osc and vpenso have."""
    short = {"alloc": "allocated", "idle": "idle", "mix": "mixed"}
    counts = {name: float(sum(share.state == word for share in shares.values())) for name, word in short.items()}
    return {**counts, **dict.fromkeys(("comp", "down", "drain", "err", "fail", "maint", "resv"), 0.0)}


def _queue(jobs: Sequence[RunningJob], family: str = "slurm_queue") -> Iterator[Metric]:
    ended = ("cancelled", "completed", "completing", "configuring", "failed", "node_fail", "preempted", "timeout")
    states = {"pending": 0.0, "running": float(len(jobs)), "suspended": 0.0, **dict.fromkeys(ended, 0.0)}
    yield from _numbers({f"{family}_{state}": value for state, value in states.items()})


def _osc(shares: Mapping[str, Share], jobs: Sequence[RunningJob], faults: Set[SchedulerFault]) -> Iterator[Metric]:
    failed = SchedulerFault.COLLECT_ERROR in faults
    sums = _sums(shares)
    yield from _numbers({f"slurm_cpus_{key}": 0.0 if failed else value for key, value in sums["cpus"].items()})
    yield from _numbers({f"slurm_gpus_{key}": sums["gpus"][key] for key in ("alloc", "idle", "total")})
    yield _labelled("slurm_account_levelfs", ("account",), {(account,): level for account, level in LEVELS.items()})
    states = {(node, share.state): 1.0 for node, share in shares.items()}
    yield _labelled("slurm_node_state_info", ("node", "state"), states)
    yield _labelled("slurm_node_down", ("node",), {(node,): 0.0 for node in shares})
    # A node without features has what sinfo prints.
    features = {(node, "(null)" if node == NODES[-1] else "ib,lab"): 1.0 for node in NODES}
    yield _labelled("slurm_node_features_info", ("node", "features"), features)
    yield from _numbers({f"slurm_nodes_{state}": count for state, count in {**_states(shares), "unknown": 0.0}.items()})
    yield from _queue(jobs)
    yield from _numbers({"slurm_queue_total": len(jobs), "slurm_scheduler_backfill_last_cycle": 1.1876543e07})
    collectors = {(name,): float(failed and name == "cpus") for name in ("cpus", "gpus", "nodes", "queue", "scheduler")}
    yield _labelled("slurm_exporter_collect_error", ("collector",), collectors)
    yield _labelled("slurm_exporter_collect_timeout", ("collector",), dict.fromkeys(collectors, 0.0))


def _of_nodes(shares: Mapping[str, Share], places: Sequence[tuple[str, str]] = ()) -> Iterator[Metric]:
    """Yield the numbers of nodes in vpenso's names, once for each partition where *places* has node and partition."""
    labels = ("node", "partition", "status") if places else ("node", "status")

    def table(name: str, values: Mapping[str, float]) -> Metric:
        rows = {
            (node, *partition, shares[node].state): values[node]
            for node, *partition in (places or [(node,) for node in shares])
        }
        return _labelled(f"slurm_node_{name}", labels, rows)

    yield table("cpu_alloc", {node: share.cpus for node, share in shares.items()})
    yield table("cpu_idle", {node: CPUS_PER_NODE - share.cpus for node, share in shares.items()})
    yield table("cpu_other", dict.fromkeys(shares, 0.0))
    yield table("cpu_total", dict.fromkeys(shares, CPUS_PER_NODE))
    yield table("mem_alloc", {node: share.memory_bytes >> 20 for node, share in shares.items()})
    yield table("mem_total", dict.fromkeys(shares, MEMORY_MB_PER_NODE))
    if places:
        yield table("status", dict.fromkeys(shares, 1.0))


def _older(shares: Mapping[str, Share], jobs: Sequence[RunningJob]) -> Iterator[Metric]:
    yield from _of_nodes(shares)
    yield from _numbers({f"slurm_cpus_{key}": value for key, value in _sums(shares)["cpus"].items()})
    yield from _numbers({f"slurm_nodes_{state}": count for state, count in _states(shares).items()})
    yield from _queue(jobs)


def _rivosinc(shares: Mapping[str, Share], jobs: Sequence[RunningJob]) -> Iterator[Metric]:
    """Yield sums by account and state of jobs; a pending one asks for more CPUs than there are."""
    cpus: dict[tuple[str, ...], float] = {(IMPOSSIBLE, "PENDING"): 300_003.0}
    counts: dict[tuple[str, ...], float] = {(IMPOSSIBLE, "PENDING"): 6.0}
    for job in jobs:
        key = (job.account, "RUNNING")
        cpus[key] = cpus.get(key, 0.0) + sum(len(share.cpus) for share in job.nodes.values())
        counts[key] = counts.get(key, 0.0) + 1
    yield _labelled("slurm_account_job_state_cpu_alloc", ("account", "state"), cpus)
    yield _labelled("slurm_account_job_state_total", ("account", "state"), counts)
    sums = _sums(shares)["cpus"]
    yield from _numbers({"slurm_cpus_idle": sums["idle"], "slurm_cpus_total": sums["total"]})
    states: dict[tuple[str, ...], float] = {}
    for share in shares.values():
        states[(share.state,)] = states.get((share.state,), 0.0) + 1
    yield _labelled("slurm_node_count_per_state", ("state",), states)


def _sckyzo(shares: Mapping[str, Share], jobs: Sequence[RunningJob]) -> Iterator[Metric]:
    """Yield nodes once for each of their partitions: the last one is in two."""
    places = [*((node, "cpu") for node in shares), (NODES[-1], "largemem")]
    yield from _of_nodes(shares, places)
    labels = ("gres_type", "node", "partition", "status")
    gpus = {
        (f"gpu:{LAB_GPU}", node, partition, shares[node].state): (GPUS_PER_NODE, shares[node].gpus)
        for node, partition in places
        if node in GPU_NODES
    }
    yield _labelled("slurm_node_gres_total", labels, {key: total for key, (total, _) in gpus.items()})
    yield _labelled("slurm_node_gres_used", labels, {key: used for key, (_, used) in gpus.items()})
    for resource, sums in _sums(shares).items():
        yield from _numbers({f"slurm_{resource}_{key}": value for key, value in sums.items()})
    for state in _states(shares):
        counts: dict[tuple[str, ...], float] = {}
        for node, partition in places:
            key = ("null", partition)
            counts[key] = counts.get(key, 0.0) + (shares[node].state[:3] == state[:3])
        yield _labelled(f"slurm_nodes_{state}", ("active_feature_set", "partition"), counts)
    yield from _numbers({"slurm_nodes_total": len(shares)})
    yield from _queue(jobs, "slurm_jobs")
    running: dict[tuple[str, ...], float] = {}
    for job in jobs:
        running[("cpu", job.user)] = running.get(("cpu", job.user), 0.0) + 1
    yield _labelled("slurm_queue_running", ("partition", "user"), running)


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
