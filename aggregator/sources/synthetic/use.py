"""How much the synthetic jobs use: smooth in time, within what they hold, and reproducible."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from aggregator.model.use import Gpu
from aggregator.sources.synthetic.profiles import Behaviour
from aggregator.sources.synthetic.scheduler import LiveRun
from aggregator.sources.synthetic.submission import GIBIBYTE

_GOLDEN = 0.6180339887498949
_SWING = 0.06
_PERIOD_SECONDS = 900.0
_RAMP_SECONDS = 900.0
_GPU_MEMORY_BYTES = 40 * GIBIBYTE
# Page cache comes on top of what is resident, until the cgroup's limit.
_PAGE_CACHE = 1.08


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


def busy_cpus(live: LiveRun, at: float) -> dict[str, float]:
    """Compute the busy CPUs of one run on each of its nodes, and nothing else of it: that is asked most."""
    behaviour, held, run_id = live.profile.behaviour, live.shape.cpus, live.run.run_id
    angle = _angle(at)
    return {
        node: _busy_cpus(behaviour, held, index) * (1 - _SWING + _SWING * math.sin(angle + _phase(run_id, index)))
        for index, node in enumerate(live.run.nodes)
    }


def node_uses(live: LiveRun, at: float) -> Iterator[NodeUse]:
    """Compute the use of one run on each of its nodes."""
    begin = live.run.start or at
    ramp = min(1.0, 0.3 + (at - begin) / _RAMP_SECONDS)
    held_bytes = live.shape.memory_gib * GIBIBYTE
    for index, node in enumerate(live.run.nodes):
        busy = _busy_cpus(live.profile.behaviour, live.shape.cpus, index)
        cpu = Wave(busy, _phase(live.run.run_id, index))
        memory = Wave(held_bytes * live.profile.behaviour.memory * ramp, cpu.phase + 1)
        yield NodeUse(
            node=node,
            cpus=cpu.value(at),
            cpu_seconds=cpu.integral(begin, at),
            memory_bytes=memory.value(at),
            memory_peak_bytes=min(held_bytes, memory.level * _PAGE_CACHE),
            threads=float(max(1, round(busy))),
        )


def gpus_of(live: LiveRun, at: float) -> tuple[Gpu, ...]:
    """Compute the GPU samples of one run; none where no process has opened a GPU."""
    behaviour = live.profile.behaviour
    if behaviour.gpu is None or not live.shape.gpus:
        return ()
    busy = live.shape.gpus if behaviour.busy_gpus is None else behaviour.busy_gpus
    return tuple(
        Gpu(
            node,
            str(index),
            Wave(behaviour.gpu, _phase(live.run.run_id, index)).value(at) if index < busy else 0.0,
            _GPU_MEMORY_BYTES * (0.7 if index < busy else 0.01),
        )
        for node in live.run.nodes
        for index in range(live.shape.gpus)
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
