"""How much the synthetic jobs use: within what they hold."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from itertools import compress
from typing import Final, TypeVar

from aggregator.model.use import Gpu
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.waves import Wave, integrals, phase_of, shares

_RAMP_SECONDS: Final = 900.0
GPU_MEMORY_BYTES: Final = 40 * GIBIBYTE
# Of a board at rest, and on top of it when it is busy.
GPU_IDLE_WATTS: Final = 60.0
GPU_BUSY_WATTS: Final = 340.0
# Page cache comes on top of what is resident, until the cgroup's limit.
PAGE_CACHE: Final = 1.08
T = TypeVar("T")


class Columns:
    """What runs use on each of their nodes: a row for each run and node, a method for each column.

    Runs that share a node or a job id have rows of their own.
    """

    def __init__(self, lives: Sequence[LiveRun]) -> None:
        self._lives = lives
        self._waves = [wave for live in lives for wave in live.waves]
        self._nodes = [node for live in lives for node in live.run.nodes]
        self._job_ids = self.spread([live.run.job_id for live in lives])
        several = self.spread([len(live.waves) > 1 for live in lives])
        self._of_several_nodes = list(compress(range(len(several)), several))

    def cpus(self, at: float) -> list[float]:
        """Compute the busy CPUs."""
        of_level = shares([wave.phase for wave in self._waves], at)
        return [wave.level * share for wave, share in zip(self._waves, of_level, strict=True)]

    def cpu_seconds(self, at: float) -> list[float]:
        """Compute the CPU time since the runs began."""
        return integrals(self._waves, self.spread([live.run.start or at for live in self._lives]), at)

    def memory_bytes(self, at: float) -> tuple[list[float], list[float]]:
        """Compute the resident memory, and the largest so far, page cache included."""
        held = [live.shape.memory_gib * GIBIBYTE for live in self._lives]
        filled = [
            most * live.profile.behaviour.memory * ramp(live.run.start or at, at)
            for live, most in zip(self._lives, held, strict=True)
        ]
        of_level = shares([wave.phase + 1 for wave in self._waves], at)
        resident = [level * share for level, share in zip(self.spread(filled), of_level, strict=True)]
        return resident, self.spread([min(most, level * PAGE_CACHE) for most, level in zip(held, filled, strict=True)])

    def threads(self) -> list[float]:
        """Give the threads, which do not change."""
        return [float(max(1, round(wave.level))) for wave in self._waves]

    def spread(self, values: Sequence[T]) -> list[T]:
        """Repeat a value of each run for each of its nodes."""
        return [value for value, live in zip(values, self._lives, strict=True) for _ in live.waves]

    def by_job(self, column: Sequence[float], hidden: Set[str] = frozenset()) -> dict[int, dict[str, float]]:
        """Give a column by job id and node, without the nodes that are hidden."""
        ids, nodes = self._job_ids, self._nodes
        # As if every run were on one node, as most are.
        found = {job_id: {node: value} for job_id, node, value in zip(ids, nodes, column, strict=True)}
        for row in self._of_several_nodes:
            found[ids[row]] = {}
        for row in self._of_several_nodes:
            found[ids[row]][nodes[row]] = column[row]
        for job_id, node in zip(ids, nodes, strict=True) if hidden else ():
            if node in hidden:
                found[job_id].pop(node, None)
        return found

    def by_node(self, column: Sequence[float]) -> defaultdict[str, float]:
        """Add up a column by node."""
        sums: defaultdict[str, float] = defaultdict(float)
        for node, value in zip(self._nodes, column, strict=True):
            sums[node] += value
        return sums


def ramp(begin: float, at: float) -> float:
    """Give the share of its memory that a run that began at `begin` has filled."""
    return min(1.0, 0.3 + (at - begin) / _RAMP_SECONDS)


def gpu_waves(live: LiveRun) -> Iterator[tuple[str, int, Wave]]:
    """Give the wave of the utilisation of each GPU that has a series: node, index on it, wave (level 0: idle)."""
    behaviour = live.profile.behaviour
    if behaviour.gpu is None:
        return
    busy = live.shape.gpus if behaviour.busy_gpus is None else behaviour.busy_gpus
    for node in live.run.nodes:
        for index in range(live.shape.gpus):
            yield node, index, Wave(behaviour.gpu if index < busy else 0.0, phase_of(live.run.run_id, index))


def gpus_of(live: LiveRun, at: float, hidden: Set[str] = frozenset()) -> tuple[Gpu, ...]:
    """Compute the GPU samples of one run on nodes that are not hidden; none where no process has opened a GPU."""
    return tuple(
        Gpu(node, str(index), wave.value(at), GPU_MEMORY_BYTES * (0.7 if wave.level else 0.01))
        for node, index, wave in gpu_waves(live)
        if node not in hidden
    )
