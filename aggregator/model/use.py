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
    """One fetch from Prometheus, all of it at one evaluation time.

    An input that is None could not be read: nothing may be concluded from it. cpu_window and interval are the
    seconds over which CPU rates were taken and between two scrapes. healthy_nodes have an exporter that is up.
    sampled_at are the epoch times of the newest samples, which may be minutes before `time`.
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
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
