"""What one job does on one node at one moment: from this every exporter shows its part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.lab.behaviours import Behaviour
from tests.lab.feed import NodeShare

_IDLE_NODE_WATTS = 200.0
_BUSY_CPU_WATTS = 6.0


@dataclass(frozen=True)
class Activity:
    """One job on one node at one moment."""

    key: int
    user: str
    account: str
    elapsed: float
    share: NodeShare
    behaviour: Behaviour
    uid: int = 0
    partition: str = ""
    sluid: str = ""
    """What its folder of cgroup v2 is called, where Slurm (from 26.05 on) does not call it by the number."""
    gpu_share: float = 1.0
    """Its part of each of its GPUs: less than 1 with shards."""

    @property
    def named(self) -> str:
        """The job as the name of its folder of cgroup v2 says it."""
        return self.sluid or str(self.key)

    @property
    def labels(self) -> tuple[str, str, str]:
        return (self.user, self.account, str(self.key))

    @property
    def cpus(self) -> int:
        return len(self.share.cpus)

    @property
    def cpu_seconds(self) -> float:
        return self.behaviour.cpu * self.cpus * self.elapsed if self.behaviour.processes else 0.0

    @property
    def cpu_seconds_by_mode(self) -> tuple[float, float]:
        """The CPU time in user mode and in the kernel: together all of it."""
        return 0.9 * self.cpu_seconds, self.cpu_seconds - 0.9 * self.cpu_seconds

    @property
    def rss(self) -> int:
        """Anonymous memory in bytes: none without processes."""
        return self.behaviour.rss(self.cpus) if self.behaviour.processes else 0

    @property
    def cache(self) -> int:
        """Page cache in bytes, which stays when processes end."""
        return self.behaviour.cache

    @property
    def utilizations(self) -> Sequence[float]:
        """The GPUs' utilisation, for those that the job has on this node."""
        return (self.behaviour.gpu or ())[: self.share.gpus]


def host_watts(jobs: Iterable[Activity]) -> float:
    """Return the power of a node without its GPUs: a floor and its busy CPUs."""
    return _IDLE_NODE_WATTS + sum(_BUSY_CPU_WATTS * job.behaviour.cpu * job.cpus for job in jobs)


def node_watts(jobs: Sequence[Activity]) -> float:
    """Return the power of a whole node: its host and its jobs' GPUs."""
    used = [job.behaviour.gpu_power_watts(utilization) for job in jobs for utilization in job.utilizations]
    return host_watts(jobs) + sum(used)
