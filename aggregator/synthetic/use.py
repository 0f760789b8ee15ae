"""How much the synthetic jobs use: smooth in time, within what they hold, and reproducible."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from aggregator.model.use import Gpu
from aggregator.synthetic.profiles import Behaviour
from aggregator.synthetic.scheduler import LiveRun
from aggregator.synthetic.submission import GIBIBYTE

_GOLDEN = 0.6180339887498949
_SWING = 0.06
_PERIOD_SECONDS = 900.0
_RAMP_SECONDS = 900.0
GPU_MEMORY_BYTES = 40 * GIBIBYTE
# Of a board at rest, and on top of it when it is busy.
GPU_IDLE_WATTS = 60.0
GPU_BUSY_WATTS = 340.0
# Page cache comes on top of what is resident, until the cgroup's limit.
PAGE_CACHE = 1.08


@dataclass(frozen=True, slots=True)
class Wave:
    """A level that sinks and rises by a few percent, never above the level, whose integral is known exactly."""

    level: float
    phase: float

    def value(self, at: float) -> float:
        """Give the value at a time."""
        return self.level * (1 - _SWING + _SWING * math.sin(_angle(at) + self.phase))

    def integral(self, begin: float, end: float) -> float:
        """Give the area from `begin` to `end`, so that counters agree with rates."""
        cosines = math.cos(_angle(begin) + self.phase) - math.cos(_angle(end) + self.phase)
        radians_per_second = 2 * math.pi / _PERIOD_SECONDS
        return self.level * ((1 - _SWING) * (end - begin) + _SWING * cosines / radians_per_second)


@dataclass(frozen=True, slots=True)
class NodeUse:
    """What one run uses on one node."""

    node: str
    cpus: float
    cpu_seconds: float
    memory_bytes: float
    memory_peak_bytes: float
    threads: float


def busy_waves(live: LiveRun) -> Iterator[tuple[str, Wave]]:
    """Give the wave of a run's busy CPUs on each of its nodes."""
    for index, node in enumerate(live.run.nodes):
        busy = _busy_cpus(live.profile.behaviour, live.shape.cpus, index)
        yield node, Wave(busy, _phase(live.run.run_id, index))


def busy_cpus(live: LiveRun, at: float) -> dict[str, float]:
    """Compute the busy CPUs of one run on each of its nodes."""
    return {node: wave.value(at) for node, wave in busy_waves(live)}


def ramp(begin: float, at: float) -> float:
    """Give the share of its memory that a run that began at `begin` has filled."""
    return min(1.0, 0.3 + (at - begin) / _RAMP_SECONDS)


def node_uses(live: LiveRun, at: float) -> Iterator[NodeUse]:
    """Compute the use of one run on each of its nodes."""
    begin = live.run.start or at
    held_bytes = live.shape.memory_gib * GIBIBYTE
    filled = held_bytes * live.profile.behaviour.memory * ramp(begin, at)
    for node, cpu in busy_waves(live):
        memory = Wave(filled, cpu.phase + 1)
        yield NodeUse(
            node=node,
            cpus=cpu.value(at),
            cpu_seconds=cpu.integral(begin, at),
            memory_bytes=memory.value(at),
            memory_peak_bytes=min(held_bytes, memory.level * PAGE_CACHE),
            threads=float(max(1, round(cpu.level))),
        )


def gpu_waves(live: LiveRun) -> Iterator[tuple[str, int, Wave]]:
    """Give the wave of the utilisation of each GPU that has a series: node, index on it, wave (level 0: idle)."""
    behaviour = live.profile.behaviour
    if behaviour.gpu is None:
        return
    busy = live.shape.gpus if behaviour.busy_gpus is None else behaviour.busy_gpus
    for node in live.run.nodes:
        for index in range(live.shape.gpus):
            yield node, index, Wave(behaviour.gpu if index < busy else 0.0, _phase(live.run.run_id, index))


def gpus_of(live: LiveRun, at: float) -> tuple[Gpu, ...]:
    """Compute the GPU samples of one run; none where no process has opened a GPU."""
    return tuple(
        Gpu(node, str(index), wave.value(at), GPU_MEMORY_BYTES * (0.7 if wave.level else 0.01))
        for node, index, wave in gpu_waves(live)
    )


def _busy_cpus(behaviour: Behaviour, cpus: int, index: int) -> float:
    if behaviour.busy_nodes is not None and index >= behaviour.busy_nodes:
        return 0.001 * cpus
    return behaviour.cpu * cpus if behaviour.busy_cpus is None else behaviour.busy_cpus


def _phase(run_id: int, index: int) -> float:
    """Spread runs and their parts over the circle without any state."""
    return 2 * math.pi * ((run_id % 1_000_003 * _GOLDEN + index * 0.17) % 1.0)


def _angle(at: float) -> float:
    return 2 * math.pi * at / _PERIOD_SECONDS
