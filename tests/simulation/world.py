"""What there is: nodes and jobs, and what they do when. Times are seconds before the present, which is 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.steps import FOREVER, Part, Steps, total

HOUR, MINUTE = 3600.0, 60.0
# The simulated time; in its first part nothing runs, which shows what nodes draw at rest.
BEGIN, QUIET_UNTIL = -312 * MINUTE, -274 * MINUTE
# Exporters go on while the tests run.
AHEAD = 15 * MINUTE
INTERVAL = 30.0
GIB, MIB = 2.0**30, 2.0**20

NODE_CPUS, NODE_MEMORY = 8, 64 * GIB
# What the hardware draws, in watts: a host at rest, and for each busy CPU; a GPU at rest, and at full use.
REST, PER_CPU = 100.0, 12.0
GPU_REST, GPU_FULL = 50.0, 250.0
# CPUs that the system keeps busy.
SYSTEM_CPUS = 0.1
Interval = tuple[float, float]
Finding = tuple[str, str]


@dataclass
class Node:
    """One node: its power meter (redfish, rapl or none), who shows its GPUs, and when what could not be read.

    *scrape_job* is Prometheus's job of slurm-job-exporter, *host_job* that of node_exporter."""

    name: str
    meter: str = "redfish"
    gpus: int = 0
    gpu_exporter: str = ""
    domain: str = ""
    scrape_job: str = "slurm_job"
    host_job: str = "node"
    replicas: tuple[str, ...] = ("",)
    exporter_down: Sequence[Interval] = ()
    meter_gone: Sequence[Interval] = ()
    meter_zero: Sequence[Interval] = ()

    def sees_jobs(self, time: float) -> bool:
        return not any(begin <= time < end for begin, end in self.exporter_down)


@dataclass
class Job:
    """One run: what it holds, what it does and what must be said of it.

    *cpus*, *memory* and *peak* are on each of its nodes, as is *cpu*, its busy CPUs. *gpu* has the utilisation of
    each of its boards by (node, index), in parts (begin, end, ratio): outside of them no process has it open, and
    exporters show nothing; *slice* is the part of the board that it holds. *expected* are the findings of a running job
    that must be there; any other one is a false accusation, but for those in *possible*.
    """

    number: int
    job_id: int
    kind: str
    nodes: tuple[str, ...]
    start: float
    end: float = FOREVER
    cpus: int = 1
    memory: float = 4 * GIB
    peak: float = 3 * GIB
    cpu: Steps = field(default_factory=Steps)
    idle_nodes: frozenset[str] = frozenset()
    gpu: Mapping[tuple[str, int], Sequence[Part]] = field(default_factory=dict)
    tres: str = ""
    slice: float = 1.0
    # What its MIG slice shows as utilisation; the board's is in gpu.
    mig: float | None = None
    user: str = "ann"
    account: str = "phys"
    state: int | None = None
    suspended: Sequence[Interval] = ()
    array: tuple[int, int] | None = None
    submit: float | None = None
    row_start: float | None = None
    expected: frozenset[Finding] = frozenset()
    possible: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.end == FOREVER

    @property
    def gpus(self) -> float:
        """Whole boards that it holds."""
        return len(self.gpu) * self.slice

    def busy(self, node: str) -> Steps:
        """Give the CPUs that it keeps busy on one of its nodes."""
        return Steps() if node in self.idle_nodes else self.cpu

    def seconds_in(self, begin: float, end: float) -> float:
        return max(0.0, min(self.end, end) - max(self.start, begin))


@dataclass(repr=False)
class World:
    """All nodes and jobs, and what follows from them; read only once it is made."""

    nodes: dict[str, Node] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    _on: dict[str, list[Job]] = field(default_factory=dict)
    _boards: dict[tuple[str, int], Steps] = field(default_factory=dict)
    _hosts: dict[str, Steps] = field(default_factory=dict)
    _busy: dict[str, Steps] = field(default_factory=dict)

    def on(self, node: str) -> list[Job]:
        """List the jobs that ever run on a node."""
        if not self._on:
            for job in self.jobs:
                for name in job.nodes:
                    self._on.setdefault(name, []).append(job)
        return self._on.get(node, [])

    def busy_cpus(self, node: str) -> Steps:
        """Give the busy CPUs of a node, the system's among them."""
        if node not in self._busy:
            self._busy[node] = total(
                [*(job.busy(node) for job in self.on(node)), Steps([(-FOREVER, FOREVER, SYSTEM_CPUS)])]
            )
        return self._busy[node]

    def host_watts(self, node: str) -> Steps:
        """Give what a node draws without its GPUs."""
        if node not in self._hosts:
            self._hosts[node] = self.busy_cpus(node).scaled(PER_CPU, REST)
        return self._hosts[node]

    def board_watts(self, node: str, index: int) -> Steps:
        """Give what one GPU draws: jobs that share a board (slices, shards) use it together."""
        if (node, index) not in self._boards:
            used = [Steps(job.gpu.get((node, index), ())) for job in self.on(node)]
            self._boards[node, index] = total(used).scaled(GPU_FULL - GPU_REST, GPU_REST)
        return self._boards[node, index]

    def gpu_watts(self, node: str) -> Steps:
        """Give what all GPUs of a node draw."""
        return total(self.board_watts(node, index) for index in range(self.nodes[node].gpus))

    def node_watts(self, node: str) -> Steps:
        """Give what a node draws, its GPUs included."""
        return total([self.host_watts(node), self.gpu_watts(node)])
