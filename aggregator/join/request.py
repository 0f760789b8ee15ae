"""What a job could ask for instead: of what this run and like runs have used, and the lines of its script to change.

Like runs are the user's earlier ones of the same name. Of what nobody has measured nothing is said.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.model.advice import quantile, slurm_time

# A run that is younger than this may have the most of its work before it.
LEAST_SECONDS: Final = 1800.0
_LEAST_OF_TIMES: Final = 3
_MEMORY_MARGIN: Final = 1.2
_TIME_MARGIN: Final = 1.25
_CPU_MARGIN: Final = 1.05
# What would save less is not worth a change; of few runs much more has to be left over.
_WORTH: Final = 0.8
_WORTH_OF_FEW: Final = 0.5
_FEW: Final = 3
_MORE_MEMORY: Final = 1.5
_GIB: Final = 2**30
_MIB: Final = 2**20
_MOST_LINES: Final = 500
_DIRECTIVE: Final = re.compile(r"\s*#SBATCH\s+(.*)")
_OPTION: Final = re.compile(r"(--[a-z-]+|-[A-Za-z])(?:=|\s+)?([^\s#]*)")
_LONG: Final = {"-c": "--cpus-per-task", "-n": "--ntasks", "-t": "--time", "-G": "--gpus", "-N": "--nodes"}
_COUNTED: Final = re.compile(r"((?:gpu:)?(?:[A-Za-z][\w.-]*:)?)([0-9]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one run has used: None where that is not known. seconds is of a run that has come to its own end."""

    cpus: float | None = None
    memory: float | None = None
    seconds: float | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this run holds, over all its nodes."""

    cpus: float
    memory: float | None
    gpus: float
    nodes: int
    time_limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What would have been enough, over all nodes; None where nothing is to be changed. runs says of how many runs.

    fitted says how many of them would have fitted.
    """

    cpus: int | None = None
    memory: float | None = None
    gpus: int | None = None
    seconds: float | None = None
    runs: int = 0
    fitted: int = 0

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.cpus, self.memory, self.gpus, self.seconds))


@dataclass(frozen=True, slots=True)
class Change:
    """A line to change: what stands before the value, the old value ("" where there is none), and the new one."""

    option: str
    old: str
    new: str


def wanted(held: Held, runs: Sequence[Used], gpus: int | None = None) -> Wanted:
    """Say what would have been enough for most of the runs; gpus is how many of its GPUs this one has ever used."""
    cpus, memory, seconds = _cpus(held, runs), _memory(held, runs), _seconds(held, runs)
    fewer = gpus if gpus is not None and gpus < held.gpus else None
    fitted = sum(_fits(run, cpus, memory, seconds) for run in runs)
    return Wanted(cpus=cpus, memory=memory, gpus=fewer, seconds=seconds, runs=len(runs), fitted=fitted)


def _fits(run: Used, cpus: int | None, memory: float | None, seconds: float | None) -> bool:
    pairs = ((run.cpus, cpus), (run.memory, memory), (run.seconds, seconds))
    return all(used is None or given is None or used <= given for used, given in pairs)


def _cpus(held: Held, runs: Sequence[Used]) -> int | None:
    most = _most([run.cpus for run in runs if run.cpus is not None])
    if most is None:
        return None
    enough = max(1, math.ceil(most * _CPU_MARGIN))
    return enough if enough <= held.cpus * _worth(runs) else None


def _memory(held: Held, runs: Sequence[Used]) -> float | None:
    if held.memory is None:
        return None
    if any(run.out_of_memory for run in runs):
        return _whole(held.memory * _MORE_MEMORY / held.nodes) * held.nodes
    most = _most([run.memory for run in runs if run.memory is not None])
    if most is None:
        return None
    enough = _whole(most * _MEMORY_MARGIN / held.nodes) * held.nodes
    return enough if enough <= held.memory * _worth(runs) else None


def _worth(runs: Sequence[Used]) -> float:
    return _WORTH if len(runs) > _FEW else _WORTH_OF_FEW


def _whole(size: float) -> float:
    """Round bytes up to GiB, and small sizes to hundreds of MiB."""
    return math.ceil(size / _GIB) * _GIB if size > 2 * _GIB else max(1, math.ceil(size / (100 * _MIB))) * 100.0 * _MIB


def _seconds(held: Held, runs: Sequence[Used]) -> float | None:
    ended = [run.seconds for run in runs if run.seconds is not None]
    longest = _most(ended)
    if held.time_limit is None or longest is None or len(ended) < _LEAST_OF_TIMES:
        return None
    enough = longest * _TIME_MARGIN
    step = 900.0 if enough < 4 * 3600 else 3600.0
    enough = math.ceil(enough / step) * step
    return enough if enough <= held.time_limit * _WORTH else None


def _most(values: Sequence[float]) -> float | None:
    return quantile(values) if values else None


def changes(script: str, held: Held, better: Wanted) -> list[Change]:
    """Give the lines to change; what the script does not say itself is a line to add."""
    given = dict(_directives(script))
    found: list[Change] = []
    for kind in (_gpu_changes, _cpu_changes, _memory_changes, _time_changes):
        found += kind(given, held, better)
    return found


def _directives(script: str) -> Iterator[tuple[str, str]]:
    """Read the options of #SBATCH lines by their long names."""
    for line in script.splitlines()[:_MOST_LINES]:
        match = _DIRECTIVE.match(line)
        for option, value in _OPTION.findall(match[1]) if match else ():
            yield _LONG.get(option, option), value


_Given = Mapping[str, str]
_Changes = Callable[[_Given, Held, Wanted], Iterator[Change]]


def _gpu_changes(given: _Given, held: Held, better: Wanted) -> Iterator[Change]:
    if better.gpus is None:
        return
    options = [each for each in ("--gpus", "--gpus-per-node", "--gres", "--gpus-per-task") if each in given]
    for option in options:
        if not (match := _COUNTED.match(given[option])):
            continue
        count = math.ceil(int(match[2]) * better.gpus / held.gpus)
        yield Change(f"{option}=", given[option], f"{match[1]}{count}" if count else "")
    if not options and better.gpus:
        yield Change("--gpus=", "", str(better.gpus))


def _cpu_changes(given: _Given, held: Held, better: Wanted) -> Iterator[Change]:
    if better.cpus is None:
        return
    for option in ("--cpus-per-task", "--ntasks-per-node", "--ntasks"):
        value = given.get(option, "")
        if value.isascii() and value.isdecimal() and int(value) > 1:
            count = max(1, math.ceil(int(value) * better.cpus / held.cpus))
            if count < int(value):
                yield Change(f"{option}=", value, str(count))
                return
    if held.nodes == 1 and not given.keys() & {"--ntasks", "--ntasks-per-node", "--cpus-per-task"}:
        yield Change("--cpus-per-task=", "", str(better.cpus))


def _memory_changes(given: _Given, held: Held, better: Wanted) -> Iterator[Change]:
    if better.memory is None:
        return
    if "--mem-per-cpu" in given:
        cpus = better.cpus or held.cpus
        yield Change("--mem-per-cpu=", given["--mem-per-cpu"], _size(better.memory / cpus))
    elif "--mem-per-gpu" in given and held.gpus:
        gpus = better.gpus or held.gpus
        yield Change("--mem-per-gpu=", given["--mem-per-gpu"], _size(better.memory / gpus))
    else:
        yield Change("--mem=", given.get("--mem", ""), _size(better.memory / held.nodes))


def _time_changes(given: _Given, held: Held, better: Wanted) -> Iterator[Change]:
    if better.seconds is not None:
        yield Change("--time=", given.get("--time", ""), slurm_time(better.seconds))


def _size(size: float) -> str:
    """Write bytes as Slurm reads them."""
    return f"{round(size / _GIB)}G" if size % _GIB == 0 else f"{math.ceil(size / _MIB)}M"
