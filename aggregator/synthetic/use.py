"""How much the synthetic jobs use: within what they hold."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from typing import Final, TypeVar

import polars as pl

from aggregator.model.job_inputs import GPUS
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

    def frame(self, hidden: Set[str] = frozenset(), **columns: Sequence[float]) -> pl.DataFrame:
        """Give columns by job_id and node, without the nodes that are hidden; of two runs of an id, the last one's."""
        keys = {"job_id": self.spread([live.run.job_id for live in self._lives]), "node": self._nodes}
        types = {"job_id": pl.Int64, "node": pl.String, **dict.fromkeys(columns, pl.Float64)}
        rows = pl.DataFrame({**keys, **columns}, schema=types).filter(~pl.col("node").is_in(list(hidden)))
        return rows.unique(["job_id", "node"], keep="last", maintain_order=True)

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


def gpus_of(lives: Sequence[LiveRun], at: float) -> pl.DataFrame:
    """Compute the GPU samples of runs (GPUS), none where no process has opened a GPU.

    row is the number of the run among `lives`.
    """
    found = [
        (row, live.run.job_id, node, str(index), wave.value(at), GPU_MEMORY_BYTES * (0.7 if wave.level else 0.01))
        for row, live in enumerate(lives)
        for node, index, wave in gpu_waves(live)
    ]
    return pl.DataFrame(found, schema={"row": pl.Int64, **GPUS}, orient="row")
