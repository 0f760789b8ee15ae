"""The lines of a job's script to change, in the terms in which it asks."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aggregator.join.request import Enough, Held, Wanted

_GIB: Final = 2**30
_MIB: Final = 2**20
_MOST_LINES: Final = 500
_DIRECTIVE: Final = re.compile(r"\s*#SBATCH\s+(.*)")
_OPTION: Final = re.compile(r"(--[a-z-]+|-[A-Za-z])(?:=|\s+)?([^\s#]*)")
_LONG: Final = {"-c": "--cpus-per-task", "-n": "--ntasks", "-t": "--time", "-G": "--gpus", "-N": "--nodes"}
_COUNTED: Final = re.compile(r"((?:gpu:)?(?:[A-Za-z][\w.-]*:)?)([0-9]+)$")


@dataclass(frozen=True, slots=True)
class Change:
    """A line to change: its option, the value that it has, the one that it should have, and what that rests on.

    old is as the script says it; where the script does not, what Slurm has given in the option's terms. new is "" where
    the line should go.
    """

    option: str
    old: str
    new: str
    resource: str
    enough: Enough


_Given = Mapping[str, str]


def changes(script: str, held: Held, better: Wanted) -> list[Change]:
    """Give the lines to change; what the script does not say itself is a line to add."""
    given = dict(_directives(script))
    kinds = (
        ("gpus", better.gpus, _gpu_lines), ("cpus", better.cpus, _cpu_lines),
        ("memory", better.memory, _memory_lines), ("time", better.seconds, _time_lines),
    )  # fmt: skip
    return [
        Change(*line, resource, enough)
        for resource, enough, lines in kinds
        if enough is not None
        for line in lines(given, held, better, enough.amount)
    ]


def _directives(script: str) -> Iterator[tuple[str, str]]:
    """Read the options of #SBATCH lines by their long names."""
    for line in script.splitlines()[:_MOST_LINES]:
        match = _DIRECTIVE.match(line)
        for option, value in _OPTION.findall(match[1]) if match else ():
            yield _LONG.get(option, option), value


# Option, old and new value.
_Lines = Iterator[tuple[str, str, str]]


def _gpu_lines(given: _Given, held: Held, better: Wanted, amount: float) -> _Lines:
    options = [each for each in ("--gpus", "--gpus-per-node", "--gres", "--gpus-per-task") if each in given]
    for option in options:
        if match := _COUNTED.match(given[option]):
            count = math.ceil(int(match[2]) * amount / held.gpus)
            yield option, given[option], f"{match[1]}{count}" if count else ""
    if not options:
        kind = f"{held.gpu_type}:" if held.gpu_type else ""
        yield "--gpus", f"{kind}{held.gpus}", f"{kind}{amount:.0f}" if amount else ""


def _cpu_lines(given: _Given, held: Held, better: Wanted, amount: float) -> _Lines:
    for option in ("--cpus-per-task", "--ntasks-per-node", "--ntasks"):
        value = given.get(option, "")
        if value.isascii() and value.isdecimal() and int(value) > 1:
            count = max(1, math.ceil(int(value) * amount / held.cpus))
            if count < int(value):
                yield option, value, str(count)
                return
    if held.nodes == 1 and not given.keys() & {"--ntasks", "--ntasks-per-node", "--cpus-per-task"}:
        yield "--cpus-per-task", f"{held.cpus:.0f}", f"{amount:.0f}"


def _memory_lines(given: _Given, held: Held, better: Wanted, amount: float) -> _Lines:
    total = amount * held.nodes
    if "--mem-per-cpu" in given:
        cpus = better.cpus.amount if better.cpus else held.cpus
        yield "--mem-per-cpu", given["--mem-per-cpu"], slurm_memory(total / cpus)
    elif "--mem-per-gpu" in given and held.gpus:
        gpus = better.gpus.amount if better.gpus and better.gpus.amount else held.gpus
        yield "--mem-per-gpu", given["--mem-per-gpu"], slurm_memory(total / gpus)
    else:
        held_of_node = slurm_memory((held.memory or 0.0) / held.nodes)
        yield "--mem", given.get("--mem", held_of_node), slurm_memory(amount)


def _time_lines(given: _Given, held: Held, better: Wanted, amount: float) -> _Lines:
    yield "--time", given.get("--time", slurm_time(held.time_limit or 0.0)), slurm_time(amount)


def slurm_memory(count: float) -> str:
    """Write bytes as sbatch takes them, whose G and M are GiB and MiB."""
    return f"{count / _GIB:.0f}G" if count % _GIB == 0 else f"{math.ceil(count / _MIB)}M"


def slurm_time(seconds: float) -> str:
    """Write a duration as sbatch takes it: HH:MM:SS, or D-HH:MM:SS."""
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock
