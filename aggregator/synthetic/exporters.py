"""Which exporters of a synthetic cluster do not answer, and when."""

from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.nodes import ENOUGH_NODES

_OUTAGE_EVERY = 1800.0
_OUTAGE_SECONDS = 600.0


class Exporters:
    """slurm-job-exporters and BMCs; the same whoever asks."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._nodes = tuple(node.name for node in cluster.nodes)
        common = cluster.pools[0].nodes
        reserved = [node.name for pool in cluster.pools if pool.reservation for node in pool.nodes]
        # One node's slurm-job-exporter was never repaired: a job of two nodes is there. One node's BMC does not say its
        # power: no run of several nodes is there, whose power would be known in part.
        self._broken = common[1].name if len(common) >= ENOUGH_NODES else None
        self.without_power = reserved[0] if reserved else None

    def restarting(self, at: float) -> str | None:
        """Name the node whose exporter is down at `at`: the first ten minutes of each half hour, another one each."""
        period, seconds = divmod(at, _OUTAGE_EVERY)
        if seconds >= _OUTAGE_SECONDS:
            return None
        return self._nodes[(int(period) * 7919 + self._cluster.seed) % len(self._nodes)]

    def silent(self, at: float) -> frozenset[str]:
        """List the nodes whose slurm-job-exporter does not answer: it is down, or the whole node is."""
        alone = frozenset(name for name in (self._broken, self.restarting(at)) if name)
        return alone | self._cluster.outages.down_at(at)

    def answering(self, at: float) -> frozenset[str]:
        """List the nodes whose slurm-job-exporter answers."""
        return frozenset(self._nodes) - self.silent(at)
