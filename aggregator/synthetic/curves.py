"""The graphs of a run as curves: constants, and waves whose value at many times costs little."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.model.lustre import Kind
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.lustre import run_waves
from aggregator.synthetic.software import executable_of
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.use import (
    GPU_BUSY_WATTS,
    GPU_IDLE_WATTS,
    GPU_MEMORY_BYTES,
    PAGE_CACHE,
    gpu_waves,
    ramp,
)
from aggregator.synthetic.waves import Wave

# What executables that are short or idle leave to nobody.
_ACCOUNTED: Final = 0.95
# Of the SMs' warps, while a GPU is utilised.
_OCCUPIED: Final = 0.4
_OPERATIONS: Final = {"open": 0.3, "close": 0.3, "getattr": 0.4}


@dataclass(frozen=True, slots=True)
class Curve:
    """One part of a graph: a constant, or a wave; one that ramps up begins low at that time."""

    labels: Mapping[str, str]
    level: float
    phase: float | None = None
    ramps_from: float | None = None

    def values(self, times: Sequence[float]) -> Iterator[float]:
        """Give its value at each time."""
        if self.phase is None:
            steady: Iterator[float] = (self.level for _ in times)
        else:
            steady = map(Wave(self.level, self.phase).value, times)
        if self.ramps_from is None:
            return steady
        begin = self.ramps_from
        return (value * ramp(begin, at) for value, at in zip(steady, times, strict=True))


_Curves = Iterator[Curve]


def _busy(live: LiveRun) -> Iterator[tuple[str, Wave]]:
    return zip(live.run.nodes, live.waves, strict=True)


def _cpu(live: LiveRun) -> _Curves:
    return (Curve({"node": node}, wave.level, wave.phase) for node, wave in _busy(live))


def _threads(live: LiveRun) -> _Curves:
    return (Curve({"node": node}, float(max(1, round(wave.level)))) for node, wave in _busy(live))


def _resident(live: LiveRun) -> _Curves:
    level, begin = live.shape.memory_gib * GIBIBYTE * live.profile.behaviour.memory, live.run.start
    return (Curve({"node": node}, level, wave.phase + 1, begin) for node, wave in _busy(live))


def _peak(live: LiveRun) -> _Curves:
    level = live.shape.memory_gib * GIBIBYTE * live.profile.behaviour.memory * PAGE_CACHE
    return (Curve({"node": node}, level, None, live.run.start) for node in live.run.nodes)


def _memory(live: LiveRun) -> _Curves:
    limit = float(live.shape.memory_gib * GIBIBYTE)
    for kind, curves in (("rss", _resident(live)), ("max", _peak(live))):
        yield from (Curve({**each.labels, "kind": kind}, each.level, each.phase, each.ramps_from) for each in curves)
    yield from (Curve({"node": node, "kind": "limit"}, limit) for node in live.run.nodes)


def _gpus(live: LiveRun) -> Iterator[tuple[Mapping[str, str], Wave]]:
    for node, index, wave in gpu_waves(live):
        yield {"node": node, "gpu": str(index), "gpu_type": live.pool.gpu_type}, wave


def _gpu_utilization(live: LiveRun) -> _Curves:
    return (Curve(labels, wave.level, wave.phase) for labels, wave in _gpus(live))


def _gpu_memory(live: LiveRun) -> _Curves:
    return (Curve(labels, GPU_MEMORY_BYTES * (0.7 if wave.level else 0.01)) for labels, wave in _gpus(live))


def _gpu_memory_total(live: LiveRun) -> _Curves:
    return (Curve(labels, float(GPU_MEMORY_BYTES)) for labels, _ in _gpus(live))


def _gpu_sm_occupancy(live: LiveRun) -> _Curves:
    return (Curve(labels, _OCCUPIED * wave.level, wave.phase) for labels, wave in _gpus(live))


def _gpu_power(live: LiveRun) -> _Curves:
    for labels, wave in _gpus(live):
        yield Curve(labels, GPU_IDLE_WATTS)
        yield Curve(labels, GPU_BUSY_WATTS * wave.level, wave.phase)


def _gpu_power_by_type(live: LiveRun) -> _Curves:
    return (Curve({"gpu_type": live.pool.gpu_type}, each.level, each.phase) for each in _gpu_power(live))


def _applications(live: LiveRun) -> _Curves:
    name = executable_of(live.run).rpartition("/")[2]
    return (Curve({"application": name}, each.level * _ACCOUNTED, each.phase) for each in _cpu(live))


def _executables(live: LiveRun) -> _Curves:
    path = executable_of(live.run)
    return (Curve({"exe": path}, each.level * _ACCOUNTED, each.phase) for each in _cpu(live))


def _gpu_executables(live: LiveRun) -> _Curves:
    if live.run.allocated.gpu_count:
        yield Curve({"exe": executable_of(live.run)}, float(live.run.allocated.gpu_count))


def _allocated_gpus(live: LiveRun) -> _Curves:
    for gpu_type, count in live.run.allocated.gpus.items():
        yield Curve({"gpu_type": gpu_type}, float(count))


def _wasted_cpus(live: LiveRun) -> _Curves:
    yield Curve({}, float(live.run.allocated.cpus))
    yield from (Curve({}, -each.level, each.phase) for each in _cpu(live))


def _busy_gpus(live: LiveRun) -> _Curves:
    if live.run.allocated.gpu_count:
        yield Curve({}, float(sum(wave.level > 0 for _, _, wave in gpu_waves(live))))


def _wasted_gpus(live: LiveRun) -> _Curves:
    if live.run.allocated.gpu_count:
        yield Curve({}, float(live.run.allocated.gpu_count))
    yield from (Curve({}, -each.level, each.phase) for each in _gpu_utilization(live))


def _bandwidth(live: LiveRun) -> _Curves:
    kinds: tuple[Kind, ...] = ("read", "write")
    for kind in kinds:
        for filesystem, wave in run_waves(live, kind):
            yield Curve({"filesystem": filesystem, "direction": kind}, wave.level, wave.phase)


def _metadata(live: LiveRun) -> _Curves:
    for filesystem, wave in run_waves(live, "metadata"):
        yield Curve({"filesystem": filesystem}, wave.level, wave.phase)


def _operations(live: LiveRun) -> _Curves:
    for each in _metadata(live):
        for operation, share in _OPERATIONS.items():
            yield Curve({**each.labels, "operation": operation}, each.level * share, each.phase)


def _summed(curves: Callable[[LiveRun], _Curves]) -> Callable[[LiveRun], _Curves]:
    """Leave out on which node or GPU it is."""
    return lambda live: (Curve({}, each.level, each.phase, each.ramps_from) for each in curves(live))


def _on(kind: Kind) -> Callable[[LiveRun], _Curves]:
    """Give the rate of one kind by user and file system."""

    def curves(live: LiveRun) -> _Curves:
        for filesystem, wave in run_waves(live, kind):
            yield Curve({"filesystem": filesystem, "user": live.run.user}, wave.level, wave.phase)

    return curves


def _constant(value: Callable[[LiveRun], float]) -> Callable[[LiveRun], _Curves]:
    return lambda live: iter((Curve({}, float(value(live))),))


Table = Mapping[str, Callable[[LiveRun], _Curves]]
# Graphs of one run, by slurm-job-exporter and by node where it says so.
OF_RUN_BY_NODE: Final[Table] = {
    "cpu": _cpu, "memory": _memory, "threads": _threads, "gpu_utilization": _gpu_utilization,
    "gpu_memory": _gpu_memory, "gpu_memory_total": _gpu_memory_total, "gpu_sm_occupancy": _gpu_sm_occupancy,
    "gpu_power": _gpu_power,
}  # fmt: skip
OF_RUN: Final[Table] = {
    **OF_RUN_BY_NODE,
    "applications": _applications,
    "allocated_cpus": _constant(lambda live: live.run.allocated.cpus),
    "allocated_memory": _constant(lambda live: live.run.allocated.memory_bytes or 0),
    "lustre_bandwidth": _bandwidth, "lustre_metadata": _operations,
}  # fmt: skip
SUMS: Final[Table] = {
    "allocated_cpus": OF_RUN["allocated_cpus"], "used_cpus": _summed(_cpu), "wasted_cpus": _wasted_cpus,
    "allocated_memory": OF_RUN["allocated_memory"], "used_memory": _summed(_resident), "peak_memory": _summed(_peak),
    "allocated_gpus": _allocated_gpus, "used_gpus": _summed(_gpu_utilization), "wasted_gpus": _wasted_gpus,
    "busy_gpus": _busy_gpus,
    "gpu_power": _gpu_power_by_type, "applications": _applications,
    "lustre_bandwidth": _bandwidth, "lustre_metadata": _metadata,
}  # fmt: skip
OF_SOFTWARE: Final[Table] = {"executables": _executables, "gpu_executables": _gpu_executables}
OF_FILESYSTEM: Final[Table] = {
    "lustre_bandwidth": _bandwidth, "lustre_metadata": _operations, "lustre_users_read": _on("read"),
    "lustre_users_write": _on("write"), "lustre_users_metadata": _on("metadata"),
}  # fmt: skip
