"""What would have been enough for a job, from what it and similar runs have used.

Similar are the user's earlier runs of the same name, and where scripts are known of the same script. Of n runs the
quantile is the ceil(0.95 × n)-th smallest, which is the largest of up to 20. Of what nobody has measured nothing is
said.

- Memory of a node: the quantile of the peak and a fifth, in whole GiB. Not of a run that holds no more than its fair
  share. Where a run has ended for want of at least this much memory: half as much again.
- CPUs: the quantile of the busy CPUs less 0.05, which run beside the program, rounded up. Of a job with GPUs only if a
  rule of CPUs has found it.
- GPUs: as many as this run has ever used, or earlier ones have used on average, if a rule has found idle ones.
- Time: the quantile of at least three runs that have completed and a quarter, in quarters of an hour, from four hours
  on in hours. Not less than the run has run; not of a run that has reached its limit.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.model.series import Line

QUANTILE: Final = 0.95
# A run that is younger than this may have the most of its work before it.
LEAST_SECONDS: Final = 1800.0
_LEAST_OF_TIMES: Final = 3
_MEMORY_MARGIN: Final = 1.2
_TIME_MARGIN: Final = 1.25
_BESIDE_CPUS: Final = 0.05
# What would save less is not worth a change; of few runs much more has to be left over.
_WORTH: Final = 0.8
_WORTH_OF_FEW: Final = 0.5
_FEW: Final = 3
_MORE_MEMORY: Final = 1.5
# A GPU that is never utilised more is idle.
_IDLE_GPU: Final = 0.01
_GIB: Final = 2**30
_MIB: Final = 2**20

LESS_MEMORY: Final = "Less memory has been used."
OUT_OF_MEMORY: Final = "A run has ended because its memory was not enough."
FEWER_CPUS: Final = "Fewer CPUs have been busy on average."
FEWER_GPUS: Final = "Fewer GPUs have been used."
LESS_TIME: Final = "Runs of this name have ended long before the limit."


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one run has used: None where that is not known. seconds is of a run that has come to its own end.

    memory is of one node, in bytes; of a run that was out of memory at least what it held.
    """

    cpus: float | None = None
    memory: float | None = None
    gpus: float | None = None
    seconds: float | None = None
    out_of_memory: bool = False

    @property
    def is_known(self) -> bool:
        """Tell whether anything of it is known."""
        return any(each is not None for each in (self.cpus, self.memory, self.gpus, self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this run holds, over all its nodes, and for how long it has (elapsed).

    gpu_type is "" where there are several. has_idle_cpus tells that a rule of CPUs has found it; is_memory_fair that
    it holds no more than its fair share.
    """

    cpus: float
    memory: float | None
    gpus: int
    nodes: int
    time_limit: float | None
    gpu_type: str = ""
    elapsed: float = 0.0
    is_timed_out: bool = False
    is_memory_fair: bool = False
    has_idle_cpus: bool = False


@dataclass(frozen=True, slots=True)
class Enough:
    """An amount that would have been enough, why, and of how many runs.

    used is what they used: that QUANTILE of them did not exceed, else the most. None where it was too much to be known.
    """

    amount: float
    why: str
    runs: int
    used: float | None = None
    is_quantile: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What would have been enough, memory of one node, the rest over all nodes; None where nothing is to be changed.

    runs says of how many runs anything is known, fitted how many of them would have fitted.
    """

    cpus: Enough | None = None
    memory: Enough | None = None
    gpus: Enough | None = None
    seconds: Enough | None = None
    runs: int = 0
    fitted: int = 0

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.cpus, self.memory, self.gpus, self.seconds))


def wanted(held: Held, runs: Sequence[Used], busy_gpus: int | None = None) -> Wanted:
    """Say what would have been enough for most of the runs.

    busy_gpus is how many of its GPUs this run has ever used; None where nobody knows, or no rule has found idle ones.
    """
    known = [run for run in runs if run.is_known or run.out_of_memory]
    cpus, memory, seconds = _cpus(held, known), _memory(held, known), _seconds(held, known)
    return Wanted(
        cpus=cpus, memory=memory, gpus=_gpus(held, known, busy_gpus), seconds=seconds,
        runs=len(known), fitted=sum(_fits(run, cpus, memory, seconds) for run in known),
    )  # fmt: skip


def _fits(run: Used, cpus: Enough | None, memory: Enough | None, seconds: Enough | None) -> bool:
    pairs = ((run.cpus, cpus), (run.memory, memory), (run.seconds, seconds))
    return all(used is None or enough is None or used <= enough.amount for used, enough in pairs)


def _cpus(held: Held, runs: Sequence[Used]) -> Enough | None:
    busy = [run.cpus for run in runs if run.cpus is not None]
    if not busy or (held.gpus and not held.has_idle_cpus):
        return None
    most = quantile(busy)
    enough = max(1, math.ceil(most - _BESIDE_CPUS))
    return Enough(enough, FEWER_CPUS, len(busy), most) if enough <= held.cpus * _worth(busy) else None


def _memory(held: Held, runs: Sequence[Used]) -> Enough | None:
    if held.memory is None:
        return None
    of_node = held.memory / held.nodes
    if short := sum(run.out_of_memory and (run.memory is None or run.memory >= of_node) for run in runs):
        return Enough(_whole(of_node * _MORE_MEMORY), OUT_OF_MEMORY, short, is_quantile=False)
    peaks = [run.memory for run in runs if run.memory is not None]
    if not peaks or held.is_memory_fair:
        return None
    most = quantile(peaks)
    enough = _whole(most * _MEMORY_MARGIN)
    return Enough(enough, LESS_MEMORY, len(peaks), most) if enough <= of_node * _worth(peaks) else None


def _worth(values: Sequence[float]) -> float:
    return _WORTH if len(values) > _FEW else _WORTH_OF_FEW


def _whole(size: float) -> float:
    """Round bytes up to GiB, and small sizes to hundreds of MiB."""
    return math.ceil(size / _GIB) * _GIB if size > 2 * _GIB else max(1, math.ceil(size / (100 * _MIB))) * 100.0 * _MIB


def _gpus(held: Held, runs: Sequence[Used], busy: int | None) -> Enough | None:
    if busy is None:
        return None
    means = [run.gpus for run in runs if run.gpus is not None]
    most = max([float(busy), *means])
    enough = math.ceil(most)
    return Enough(enough, FEWER_GPUS, max(1, len(means)), most, is_quantile=False) if enough < held.gpus else None


def _seconds(held: Held, runs: Sequence[Used]) -> Enough | None:
    ended = [run.seconds for run in runs if run.seconds is not None]
    if held.time_limit is None or held.is_timed_out or len(ended) < _LEAST_OF_TIMES:
        return None
    longest = quantile(ended)
    enough = longest * _TIME_MARGIN
    step = 900.0 if enough < 4 * 3600 else 3600.0
    enough = math.ceil(enough / step) * step
    is_worth = held.elapsed <= enough <= held.time_limit * _WORTH
    return Enough(enough, LESS_TIME, len(ended), longest) if is_worth else None


def quantile(values: Sequence[float]) -> float:
    """Give the value that QUANTILE of the values, at least one, do not exceed: one of them."""
    return sorted(values)[math.ceil(QUANTILE * len(values)) - 1]


def busy_gpus(utilised: Iterable[Line]) -> int:
    """Count the GPUs that have ever been used, of the lines of their utilisation."""
    return sum(max((value for _, value in line.points), default=0.0) > _IDLE_GPU for line in utilised)
