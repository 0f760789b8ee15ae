"""The power of a synthetic cluster's nodes and GPUs, as Prometheus would give its means over windows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from aggregator import executors
from aggregator.model.energy import NodePower, PowerWindow
from aggregator.model.use import Gpu, Use
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.nodes import Pool
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.use import GPU_BUSY_WATTS, GPU_IDLE_WATTS, Columns, gpus_of

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
        await self._cluster.reach(first_end + (count - 1) * self.window)
        ran = self._cluster.ran_since(first_end - self.window)
        return await executors.run(
            executors.REFRESH, lambda: [self._window(first_end + number * self.window, ran) for number in range(count)]
        )

    def _window(self, end: float, ran: Sequence[LiveRun]) -> PowerWindow:
        begin = end - self.window
        present = [live for live in ran if (live.run.start or end) < end and (live.run.end or end) > begin]
        silent = self._exporters.silent(end)
        columns = Columns(present)
        cpus = columns.cpus(end)
        gpus = [gpus_of(live, end) for live in present]
        # A run counts for the part of the window in which it was there.
        parts = [_seconds(live, begin, end) / (end - begin) for live in present]
        busy = [amount * part for amount, part in zip(cpus, columns.spread(parts), strict=True)]
        nodes = self._nodes(columns.by_node(busy), _load(gpus, parts))
        shown = {
            live.run.job_id: tuple(gpu for gpu in found if gpu.node not in silent)
            for live, found in zip(present, gpus, strict=True)
            if live.shape.gpus
        }
        use = Use(
            time=end, memory_bytes={}, cpus=columns.by_job(cpus, silent), gpus=shown,
            healthy_nodes=self._exporters.answering(end),
            gpu_nodes=frozenset(node.name for node in self._cluster.nodes),
        )  # fmt: skip
        return PowerWindow(begin, end, use, nodes, {job_id: _gpu_watts(found) for job_id, found in shown.items()})

    def _nodes(self, busy: Mapping[str, float], load: Mapping[str, float]) -> dict[str, NodePower]:
        """Compute the mean power of each node, by its busy CPUs and GPUs."""
        return {
            node.name: _power(pool, busy.get(node.name, 0.0), load.get(node.name, 0.0))
            for pool in self._cluster.pools
            for node in pool.nodes
            if node.name != self._exporters.without_power
        }


def _seconds(live: LiveRun, begin: float, end: float) -> float:
    return min(live.run.end or end, end) - max(live.run.start or begin, begin)


def _load(gpus: Sequence[Sequence[Gpu]], parts: Sequence[float]) -> Mapping[str, float]:
    """Add up the utilisation of all GPUs by node."""
    load: defaultdict[str, float] = defaultdict(float)
    for found, part in zip(gpus, parts, strict=True):
        for gpu in found:
            load[gpu.node] += (gpu.utilization or 0.0) * part
    return load


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
