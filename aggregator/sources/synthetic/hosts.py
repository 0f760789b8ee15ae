"""The nodes of a synthetic cluster: what slurmctld would say of them, and node_exporter show."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from aggregator.model.node import Hosts, Scheduler, Told
from aggregator.sources.synthetic.cluster import SyntheticCluster
from aggregator.sources.synthetic.submission import GIBIBYTE
from aggregator.sources.synthetic.use import node_uses

LOGIN_NODE: Final = "login1"
_SCRATCH_BYTES: Final = 2e12
_SYSTEM_BYTES: Final = 4 * GIBIBYTE


class SyntheticScheduler:
    """slurmctld's state, as an exporter would show it."""

    name = "scheduler"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self.rows = 0
        self.features: Mapping[str, bool] = {"slurm_osc": True}

    async def fetch(self, at: float) -> Scheduler:
        """Give the states of now."""
        self._cluster.advance(at)
        nodes: dict[str, Told] = {}
        sums: Counter[str] = Counter()
        for pool in self._cluster.pools:
            for node in pool.nodes:
                used = pool.cpus - node.free_cpus
                sums.update(cpus=pool.cpus, used=used, gpus=pool.gpus, used_gpus=pool.gpus - node.free_gpus)
                nodes[node.name] = Told(
                    state=_state(used, pool.cpus), features=pool.gpu_type or "cpu", cpus=pool.cpus, cpus_allocated=used,
                    memory_bytes=pool.memory_gib * GIBIBYTE, gpus=pool.gpus,
                    memory_allocated_bytes=(pool.memory_gib - node.free_memory_gib) * GIBIBYTE,
                    gpus_allocated=pool.gpus - node.free_gpus,
                )  # fmt: skip
        self.rows = len(nodes)
        return Scheduler(
            time=at, nodes=nodes, cpus=_amounts(sums["used"], sums["cpus"]),
            gpus=_amounts(sums["used_gpus"], sums["gpus"]),
            node_counts=Counter(told.state for told in nodes.values()),
            jobs={"running": float(len(self._cluster.live()))},
        )  # fmt: skip


class SyntheticHosts:
    """The hosts' load, CPUs, memory and scratch, as node_exporter would show them."""

    name = "node_exporter"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self.rows = 0
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> Hosts:
        """Compute what the hosts do at `at`."""
        self._cluster.advance(at)
        busy: defaultdict[str, float] = defaultdict(float)
        memory: defaultdict[str, float] = defaultdict(float)
        for live in self._cluster.live():
            for use in node_uses(live, at):
                busy[use.node] += use.cpus
                memory[use.node] += use.memory_bytes
        sizes = {node.name: (pool.cpus, pool.memory_gib) for pool in self._cluster.pools for node in pool.nodes}
        sizes[LOGIN_NODE] = (32, 128)
        busy[LOGIN_NODE] = 3.5
        values: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for name, (cpus, memory_gib) in sizes.items():
            of_host = {
                "load1": busy[name], "cpus": float(cpus), "resting_cpus": max(0.0, cpus - busy[name]),
                "memory_total_bytes": float(memory_gib * GIBIBYTE),
                "memory_available_bytes": max(0.0, memory_gib * GIBIBYTE - memory[name] - _SYSTEM_BYTES),
                "scratch_bytes": _SCRATCH_BYTES,
                "scratch_available_bytes": _SCRATCH_BYTES * (1 - 0.5 * min(1.0, busy[name] / cpus)),
            }  # fmt: skip
            for key, value in of_host.items():
                values[key][name] = value
        self.rows = len(sizes) * len(values)
        return Hosts(time=at, values=values)


def _state(used: int, cpus: int) -> str:
    return "idle" if not used else "allocated" if used >= cpus else "mixed"


def _amounts(used: int, total: int) -> dict[str, float]:
    return {"allocated": float(used), "idle": float(total - used), "total": float(total)}
