"""The nodes of a synthetic cluster: what slurmctld would say of them, and node_exporter show."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from aggregator import executors
from aggregator.model.node_inputs import HOSTS, SAID_OF_NODES, SAID_OF_PARTITIONS, Hosts, Scheduler, by_state
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.use import Columns

LOGIN_NODE: Final = "login1"
# CPUs and GiB of memory.
_LOGIN_SIZE: Final = (32, 128)
_LOGIN_BUSY: Final = 3.5
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
        await self._cluster.reach(at)
        nodes: list[Mapping[str, Any]] = []
        sums: Counter[str] = Counter()
        for pool in self._cluster.pools:
            for node in pool.nodes:
                used = pool.cpus - node.free_cpus
                state, flags = self._cluster.outages.state_of(node, used, pool.cpus, bool(pool.reservation))
                sums.update(cpus=pool.cpus, used=used, gpus=pool.gpus, used_gpus=pool.gpus - node.free_gpus)
                nodes.append({
                    "node": node.name, "state": state, "flags": flags, "features": pool.gpu_type or "cpu",
                    "cpus": pool.cpus, "cpus_allocated": used, "memory_bytes": pool.memory_gib * GIBIBYTE,
                    "memory_allocated_bytes": (pool.memory_gib - node.free_memory_gib) * GIBIBYTE,
                    "gpus": pool.gpus, "gpus_allocated": pool.gpus - node.free_gpus,
                })  # fmt: skip
        self.rows = len(nodes)
        counted: Mapping[str, Mapping[str, float]] = {
            "cpus": _amounts(sums["used"], sums["cpus"]), "gpus": _amounts(sums["used_gpus"], sums["gpus"]),
            "nodes": Counter(node["state"] for node in nodes), "jobs": {"running": len(self._cluster.live())},
        }  # fmt: skip
        said = pl.DataFrame(nodes, schema=SAID_OF_NODES, strict=False)
        return Scheduler(time=at, nodes=said, states=by_state(counted), partitions=self._partitions())

    def _partitions(self) -> pl.DataFrame:
        """Add up the nodes of each partition; `debug` has the nodes of `cpu`."""
        found: list[Mapping[str, Any]] = []
        for name, of_gpus in (("cpu", False), ("debug", False), ("gpu", True)):
            pools = [pool for pool in self._cluster.pools if bool(pool.gpus) == of_gpus]
            numbers: Counter[str] = Counter()
            for pool, node in ((each, node) for each in pools for node in each.nodes):
                numbers.update(nodes=1, cpus=pool.cpus, cpus_allocated=pool.cpus - node.free_cpus)
                if of_gpus:
                    numbers.update(gpus=pool.gpus, gpus_allocated=pool.gpus - node.free_gpus)
            if pools:
                found.append({"partition": name, **numbers})
        return pl.DataFrame(found, schema=SAID_OF_PARTITIONS, strict=False)


class SyntheticHosts:
    """The hosts' load, CPUs, memory and scratch, as node_exporter would show them."""

    name = "node_exporter"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self.rows = 0
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> Hosts:
        """Compute what the hosts do at `at`, off the event loop."""
        await self._cluster.reach(at)
        frame = await executors.run(executors.REFRESH, self._hosts, at, self._cluster.live())
        self.rows = frame.height * (frame.width - 1)
        return Hosts(time=at, frame=frame)

    def _hosts(self, at: float, lives: Sequence[LiveRun]) -> pl.DataFrame:
        columns = Columns(lives)
        busy, memory = columns.by_node(columns.cpus(at)), columns.by_node(columns.memory_bytes(at)[0])
        sizes = {
            node.name: (pool.cpus, pool.memory_gib)
            for pool in self._cluster.pools
            for node in pool.nodes
            if not self._cluster.outages.is_down(node.name)
        }
        sizes[LOGIN_NODE] = _LOGIN_SIZE
        busy[LOGIN_NODE] = _LOGIN_BUSY
        hosts = [
            {
                "node": name, "load1": busy[name], "cpus": float(cpus), "resting_cpus": max(0.0, cpus - busy[name]),
                "memory_total_bytes": float(memory_gib * GIBIBYTE),
                "memory_available_bytes": max(0.0, memory_gib * GIBIBYTE - memory[name] - _SYSTEM_BYTES),
                "scratch_bytes": _SCRATCH_BYTES,
                "scratch_available_bytes": _SCRATCH_BYTES - _scratch_used(busy[name], cpus),
            }
            for name, (cpus, memory_gib) in sizes.items()
        ]  # fmt: skip
        return pl.DataFrame(hosts, schema=HOSTS)


def host_points(
    cluster: SyntheticCluster, graph: str, node: str, runs: Sequence[LiveRun], times: Sequence[float]
) -> Iterator[tuple[Mapping[str, str], list[tuple[float, float]]]]:
    """Give the lines of a graph of one host, given what ran there."""
    sizes = {each.name: (pool.cpus, pool.memory_gib) for pool in cluster.pools for each in pool.nodes}
    cpus, memory_gib = sizes.get(node, _LOGIN_SIZE)
    uses = [_use_at(node, runs, at) for at in times]
    lines = _HOST_LINES[graph](cpus, memory_gib * GIBIBYTE)
    for labels, value in lines:
        yield labels, [(at, value(busy, used)) for at, (busy, used) in zip(times, uses, strict=True)]


def _use_at(node: str, runs: Sequence[LiveRun], at: float) -> tuple[float, float]:
    """Add up busy CPUs and used memory of a host."""
    there = [live for live in runs if (live.run.start or at) <= at <= (live.run.end or at)]
    columns = Columns(there)
    busy = _LOGIN_BUSY if node == LOGIN_NODE else columns.by_node(columns.cpus(at))[node]
    return busy, columns.by_node(columns.memory_bytes(at)[0])[node] + _SYSTEM_BYTES


_Value = Callable[[float, float], float]
_HostLines = Callable[[int, int], Sequence[tuple[Mapping[str, str], _Value]]]
_HOST_LINES: Final[Mapping[str, _HostLines]] = {
    "node_busy_cpus": lambda cpus, memory: [({}, lambda busy, used: busy)],
    "node_cpus": lambda cpus, memory: [({}, lambda busy, used: float(cpus))],
    "load": lambda cpus, memory: [({"period": period}, lambda busy, used: busy) for period in ("1m", "5m", "15m")],
    "node_memory": lambda cpus, memory: [
        ({"kind": "total"}, lambda busy, used: float(memory)),
        ({"kind": "used"}, lambda busy, used: used),
        ({"kind": "free"}, lambda busy, used: max(0.0, memory - used)),
    ],
    "scratch": lambda cpus, memory: [({}, lambda busy, used: _scratch_used(busy, cpus))],
    "scratch_size": lambda cpus, memory: [({}, lambda busy, used: _SCRATCH_BYTES)],
}
HOST_GRAPHS: Final = frozenset(_HOST_LINES)


def _scratch_used(busy: float, cpus: int) -> float:
    return _SCRATCH_BYTES * 0.5 * min(1.0, busy / cpus)


def _amounts(used: int, total: int) -> dict[str, float]:
    return {"allocated": float(used), "idle": float(total - used), "total": float(total)}
