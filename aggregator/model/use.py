"""What Prometheus holds of the jobs' use, in base units, keyed by Slurm job id and node."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# job id → node → value. A job that spans nodes has a value of each node that its exporter reported.
NodeValues = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of one job as an exporter shows it; None where it gave no plausible value.

    utilization is a ratio, memory in bytes. index is local to the job on that node, or a MIG UUID.
    """

    node: str
    index: str
    utilization: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """What a job's counters showed on each node in the first samples of a run that began after them.

    Times are those of the samples. A node without one of the values has shown none.
    """

    sampled_at: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    memory_peak_bytes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Use:
    """One fetch from Prometheus, all of it at one evaluation time but for inputs that failed and have an older value.

    An input that is None could not be read: nothing may be concluded from it. cpu_window and interval are the
    seconds over which CPU rates were taken and between two scrapes. healthy_nodes have an exporter that is up,
    gpu_nodes one that has shown GPUs, lately or now. sampled_at are the epoch times of the newest samples, which may be
    minutes before `time`. oldest is the time of the oldest value, None where all are of now. reachable: Prometheus has
    targets of the cluster, also where no input has a value.
    """

    time: float
    interval: float = 30.0
    cpu_window: float = 120.0
    cpus: NodeValues | None = None
    cpu_seconds: NodeValues | None = None
    sampled_at: NodeValues | None = None
    memory_bytes: NodeValues | None = None
    memory_peak_bytes: NodeValues | None = None
    threads: NodeValues | None = None
    gpus: Mapping[int, tuple[Gpu, ...]] | None = None
    healthy_nodes: frozenset[str] | None = None
    gpu_nodes: frozenset[str] | None = None
    oldest: float | None = None
    reachable: bool = True
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def since(self) -> float:
        """Give the time of the oldest value: of a run that began later nothing is known yet."""
        return self.time if self.oldest is None else self.oldest

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no sample of any node at all."""
        values = (self.cpus, self.cpu_seconds, self.memory_bytes, self.memory_peak_bytes, self.threads, self.gpus)
        return not any(values) and not self.healthy_nodes

    def vouches_for_gpus(self, node: str) -> bool:
        """Tell whether a GPU of this node that has no series is idle: its exporter answers, and can show GPUs."""
        return node in (self.healthy_nodes or ()) and node in (self.gpu_nodes or ())
