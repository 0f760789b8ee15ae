"""What to change in a job's request, from what it and earlier runs alike have used.

Alike are runs of the same user and job name that have completed; an array's tasks have its name. Of n runs the quantile
is the ceil(0.95 × n)-th smallest, which is the largest of up to 20. What is advised:

- `--mem`: the quantile of peak ÷ nodes, and a fifth on top, in whole GiB. Only of a run that holds memory above its
  fair share; not of one that has run out of memory.
- `--cpus-per-task`: the quantile of the mean number of busy CPUs less 0.05, which run beside the program, rounded up.
  Only of one node, where ranks need not be told from threads; of a job with GPUs only if a rule of CPUs has found it.
- `--gpus`: the GPUs that are busy now or were busy on average in earlier runs, if a rule has found that one or all of
  them are idle; none if none was ever busy.
- `--time`: the quantile of elapsed time, and a fifth on top, in quarters of an hour. Only from three runs on; not of
  one that has run into its limit.

Memory, CPUs and time are advised only where they save a fifth at least. Rows have the names of the table `jobs`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

QUANTILE: Final = 0.95
MARGIN: Final = 1.2
BESIDE_CPUS: Final = 0.05
LEAST_RUNS_OF_TIME: Final = 3
_LEAST_SAVED: Final = 0.2
_GIB: Final = 2**30
_QUARTER_SECONDS: Final = 900
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A line to change.

    asked and better are as sbatch takes them ("" for no such line). amount is the quantile that it rests on, in unit,
    over so many runs.
    """

    option: str
    asked: str
    better: str
    amount: float
    unit: str
    runs: int


def advise(run: Row, before: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> list[Advice]:
    """Say which lines to change. before are earlier runs, found what rules of waste have found of the run."""
    alike = [each for each in before if each["state"] == "completed" and each["run_id"] != run["run_id"]]
    known = [run, *alike] if run["state"] in ("running", "suspended", "completed") else alike
    whole = [each for each in known if each["state"] == "completed"]
    about = frozenset(str(each["resource"]) for each in found)
    advised = (_memory(run, known), _cpus(run, known, about), _gpus(run, alike, found), _time(run, whole))
    return [each for each in advised if each]


def quantile(values: Sequence[float]) -> float:
    """Give the value that QUANTILE of the values, at least one, do not exceed: one of them."""
    return sorted(values)[math.ceil(QUANTILE * len(values)) - 1]


def slurm_time(seconds: float) -> str:
    """Write a duration as sbatch takes it: HH:MM:SS, or D-HH:MM:SS."""
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def slurm_memory(count: float) -> str:
    """Write bytes as sbatch takes them, whose G and M are GiB and MiB."""
    return f"{count / _GIB:.0f}G" if count % _GIB == 0 else f"{count / 2**20:.0f}M"


def _memory(run: Row, known: Sequence[Row]) -> Advice | None:
    held, nodes = run["granted_memory_bytes"], run["granted_nodes"]
    peaks = [
        each["memory_peak_bytes"] / each["granted_nodes"]
        for each in known
        if each["memory_peak_bytes"] is not None and each["granted_nodes"]
    ]
    if not (held and nodes and peaks and run["wasted_memory_bytes"]) or run["state"] == "out_of_memory":
        return None
    peak = quantile(peaks)
    better = max(1, math.ceil(MARGIN * peak / _GIB)) * _GIB
    if better > (1 - _LEAST_SAVED) * held / nodes:
        return None
    return Advice(
        option="--mem", asked=slurm_memory(held / nodes), better=slurm_memory(better), amount=peak, unit="bytes",
        runs=len(peaks),
    )  # fmt: skip


def _cpus(run: Row, known: Sequence[Row], about: frozenset[str]) -> Advice | None:
    busy = [
        each["cpu_efficiency_ratio"] * each["granted_cpus"]
        for each in known
        if each["cpu_efficiency_ratio"] is not None and each["granted_nodes"] == 1
    ]
    if not busy or run["granted_nodes"] != 1 or (run["granted_gpus"] and "cpu" not in about):
        return None
    mean = quantile(busy)
    better = max(1, math.ceil(mean - BESIDE_CPUS))
    if better > (1 - _LEAST_SAVED) * (run["granted_cpus"] or 0):
        return None
    return Advice(
        option="--cpus-per-task", asked=str(run["granted_cpus"]), better=str(better), amount=mean, unit="cpus",
        runs=len(busy),
    )  # fmt: skip


_IDLE_GPUS: Final = frozenset({"gpu_idle_seconds", "gpu_partly_idle_seconds"})


def _gpus(run: Row, alike: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> Advice | None:
    held, busy = run["granted_gpus"], run["gpus_busy"]
    if not held or busy is None or _IDLE_GPUS.isdisjoint(each["field"] for each in found):
        return None
    means = [
        each["gpu_efficiency_ratio"] * each["granted_gpus"]
        for each in alike
        if each["gpu_efficiency_ratio"] is not None and each["granted_gpus"]
    ]
    most = max([float(busy), *means])
    better = math.ceil(most)
    if better >= held:
        return None
    types = run["granted_gpus_by_type"] or []
    kind = f"{types[0]['gpu_type']}:" if len(types) == 1 and types[0]["gpu_type"] else ""
    return Advice(
        option="--gpus", asked=f"{kind}{held}", better=f"{kind}{better}" if better else "", amount=most, unit="gpus",
        runs=1 + len(means),
    )  # fmt: skip


def _time(run: Row, whole: Sequence[Row]) -> Advice | None:
    limit = run["time_limit_seconds"]
    took = [each["elapsed_seconds"] for each in whole if each["elapsed_seconds"] is not None]
    if limit is None or len(took) < LEAST_RUNS_OF_TIME or run["state"] == "timeout":
        return None
    longest = quantile(took)
    better = max(1, math.ceil(MARGIN * longest / _QUARTER_SECONDS)) * _QUARTER_SECONDS
    # A run that goes on has needed what it has run.
    if better > (1 - _LEAST_SAVED) * limit or better < (run["elapsed_seconds"] or 0.0):
        return None
    return Advice(
        option="--time", asked=slurm_time(limit), better=slurm_time(better), amount=longest, unit="seconds",
        runs=len(took),
    )  # fmt: skip
