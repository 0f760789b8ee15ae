"""The power of a synthetic cluster's nodes and GPUs, as Prometheus would give its means over windows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from aggregator import executors
from aggregator.model.energy import NodePower, PowerWindow
from aggregator.model.use import Gpu, Use
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.nodes import Pool
from aggregator.synthetic.scheduler import LiveRun
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.use import GPU_BUSY_WATTS, GPU_IDLE_WATTS, busy_cpus, gpus_of

_STATIC_WATTS = 140.0
_WATTS_PER_CPU = 4.5


class SyntheticPower:
    """Compute windows of any time of the last day and of running jobs' past; one node's BMC does not answer."""

    window = 60.0
    settle_seconds = 5.0

    def __init__(self, cluster: SyntheticCluster) -> None:
        self.rejected: Mapping[str, int] = Counter()
        self._cluster = cluster
        self._exporters = Exporters(cluster)

    async def newest(self, at: float) -> float | None:
        """Give the time itself: what is computed is never late."""
        return at

    async def windows(self, first_end: float, count: int) -> Sequence[PowerWindow]:
        """Compute `count` windows one after the other, off the event loop."""
        self._cluster.advance(first_end + (count - 1) * self.window)
        ran = self._cluster.ran_since(first_end - self.window)
        return await executors.run(
            executors.REFRESH, lambda: [self._window(first_end + number * self.window, ran) for number in range(count)]
        )

    def _window(self, end: float, ran: Sequence[LiveRun]) -> PowerWindow:
        begin = end - self.window
        present = [live for live in ran if (live.run.start or end) < end and (live.run.end or end) > begin]
        silent = self._exporters.silent(end)
        gpus = {live.run.job_id: gpus_of(live, end) for live in present if live.shape.gpus}
        cpus = {live.run.job_id: busy_cpus(live, end) for live in present}
        nodes = self._nodes(present, cpus, gpus, begin, end)
        shown = {job_id: tuple(gpu for gpu in found if gpu.node not in silent) for job_id, found in gpus.items()}
        use = Use(
            time=end, memory_bytes={}, gpus=shown, healthy_nodes=self._exporters.answering(end),
            gpu_nodes=frozenset(node.name for node in self._cluster.nodes),
            cpus={
                job_id: {node: amount for node, amount in found.items() if node not in silent}
                for job_id, found in cpus.items()
            },
        )  # fmt: skip
        return PowerWindow(begin, end, use, nodes, {job_id: _gpu_watts(found) for job_id, found in shown.items()})

    def _nodes(
        self,
        present: Sequence[LiveRun],
        cpus: Mapping[int, Mapping[str, float]],
        gpus: Mapping[int, Sequence[Gpu]],
        begin: float,
        end: float,
    ) -> dict[str, NodePower]:
        """Compute the mean power of each node: a run counts for the part of the window in which it was there."""
        busy: dict[str, float] = defaultdict(float)
        load: dict[str, float] = defaultdict(float)
        for live in present:
            part = (min(live.run.end or end, end) - max(live.run.start or begin, begin)) / (end - begin)
            for node, amount in cpus[live.run.job_id].items():
                busy[node] += amount * part
            for gpu in gpus.get(live.run.job_id, ()):
                load[gpu.node] += (gpu.utilization or 0.0) * part
        return {
            node.name: _power(pool, busy.get(node.name, 0.0), load.get(node.name, 0.0))
            for pool in self._cluster.pools
            for node in pool.nodes
            if node.name != self._exporters.without_power
        }


def _power(pool: Pool, busy: float, load: float) -> NodePower:
    gpu_watts = pool.gpus * GPU_IDLE_WATTS + load * GPU_BUSY_WATTS
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
        watts[gpu.node].append(GPU_IDLE_WATTS + (gpu.utilization or 0.0) * GPU_BUSY_WATTS)
    return dict(watts)
