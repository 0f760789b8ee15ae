"""The power of a synthetic cluster's nodes and GPUs, as Prometheus would give its means over windows."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from aggregator.model.energy import NodePower, PowerWindow
from aggregator.model.use import Gpu, Use
from aggregator.sources.synthetic.cluster import SyntheticCluster
from aggregator.sources.synthetic.nodes import Pool
from aggregator.sources.synthetic.scheduler import LiveRun
from aggregator.sources.synthetic.submission import GIBIBYTE
from aggregator.sources.synthetic.use import gpus_of, node_uses

_STATIC_WATTS = 140.0
_WATTS_PER_CPU = 4.5
_GPU_IDLE_WATTS = 60.0
_GPU_BUSY_WATTS = 340.0


class SyntheticPower:
    """Compute windows of any time of the last hour and of running jobs' past; one node's BMC does not answer."""

    window = 60.0
    settle_seconds = 5.0

    def __init__(self, cluster: SyntheticCluster) -> None:
        self.rejected: Mapping[str, int] = Counter()
        self._cluster = cluster
        self._mute = cluster.nodes[-1].name

    async def newest(self, at: float) -> float | None:
        """Give the time itself: what is computed is never late."""
        return at

    async def windows(self, first_end: float, count: int) -> Sequence[PowerWindow]:
        """Compute `count` windows one after the other, off the event loop."""
        self._cluster.advance(first_end + (count - 1) * self.window)
        ran = self._cluster.ran_since(first_end - self.window)
        return await asyncio.to_thread(
            lambda: [self._window(first_end + number * self.window, ran) for number in range(count)]
        )

    def _window(self, end: float, ran: Sequence[LiveRun]) -> PowerWindow:
        begin = end - self.window
        present = [live for live in ran if (live.run.start or end) < end and (live.run.end or end) > begin]
        gpus = {live.run.job_id: gpus_of(live, end) for live in present if live.shape.gpus}
        cpus = {live.run.job_id: {use.node: use.cpus for use in node_uses(live, end)} for live in present}
        names = frozenset(node.name for node in self._cluster.nodes)
        use = Use(time=end, cpus=cpus, memory_bytes={}, gpus=gpus, healthy_nodes=names, gpu_nodes=names)
        busy, load = _sum_by_node(cpus.values()), _load(gpus.values())
        nodes = {
            node.name: _power(pool, busy.get(node.name, 0.0), load.get(node.name, 0.0))
            for pool in self._cluster.pools
            for node in pool.nodes
            if node.name != self._mute
        }
        return PowerWindow(begin, end, use, nodes, {job_id: _gpu_watts(found) for job_id, found in gpus.items()})


def _sum_by_node(jobs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for nodes in jobs:
        for node, amount in nodes.items():
            sums[node] += amount
    return sums


def _load(jobs: Iterable[Sequence[Gpu]]) -> dict[str, float]:
    return _sum_by_node({gpu.node: gpu.utilization or 0.0} for gpus in jobs for gpu in gpus)


def _power(pool: Pool, busy: float, load: float) -> NodePower:
    gpu_watts = pool.gpus * _GPU_IDLE_WATTS + load * _GPU_BUSY_WATTS
    return NodePower(
        watts=_STATIC_WATTS + _WATTS_PER_CPU * busy + gpu_watts,
        gpu_watts=gpu_watts if pool.gpus else None,
        static_watts=_STATIC_WATTS,
        cpus=float(pool.cpus),
        busy_cpus=busy + 0.2,
        memory_bytes=float(pool.memory_gib * GIBIBYTE),
        gpus=pool.gpus or None,
    )


def _gpu_watts(gpus: Sequence[Gpu]) -> dict[str, list[float]]:
    watts: dict[str, list[float]] = defaultdict(list)
    for gpu in gpus:
        watts[gpu.node].append(_GPU_IDLE_WATTS + (gpu.utilization or 0.0) * _GPU_BUSY_WATTS)
    return dict(watts)
