"""The steps of the synthetic runs: batch and extern, and what is started by srun."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aggregator.model.accounting import JobState
from aggregator.model.steps import Exit, Step
from aggregator.parts.jobs.steps import EXTERN
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.use import Columns, gpus_of

# Profiles whose scripts start their work by srun, and what it is called; tasks on each node.
_BY_SRUN: Final = {
    "mpi": ("model.exe", 64),
    "coupled": ("ocean", 8),
    "train_large": ("python", 4),
    "train": ("python", 1),
}
_INTERACTIVE: Final = "interactive"
# The script itself, and the sleep of the extern step.
_OVERHEAD_SECONDS, _OVERHEAD_BYTES = 1.5, 6_500_000
# What a step is in when its run has ended so, and its exit.
_ENDS: Final = {
    JobState.COMPLETED: (JobState.COMPLETED, Exit(0, 0)), JobState.FAILED: (JobState.FAILED, Exit(1, 0)),
    JobState.OUT_OF_MEMORY: (JobState.OUT_OF_MEMORY, Exit(0, 125)),
}  # fmt: skip
_CANCELLED: Final = (JobState.CANCELLED, Exit(0, 15))


@dataclass(frozen=True, slots=True)
class _Used:
    """What a step has used."""

    cpu_seconds: float
    memory_bytes: int
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None


def steps_of(live: LiveRun) -> Iterator[Step]:
    """List the steps of a run, as sacct does: what they used is written when they complete, never when a node fails."""
    run, (name, tasks) = live.run, _BY_SRUN.get(live.profile.name, ("", 0))
    first = "interactive" if run.name == _INTERACTIVE else "batch"
    small = _Used(_OVERHEAD_SECONDS, _OVERHEAD_BYTES)
    whole = _whole(live) if run.end is not None else small
    yield _step(live, first, first, small if name else whole, nodes=1)
    yield _step(live, EXTERN, EXTERN, small)
    if name:
        yield _step(live, "0", name, whole, tasks=tasks * len(run.nodes))


def _step(live: LiveRun, step_id: str, name: str, used: _Used, *, tasks: int = 0, nodes: int = 0) -> Step:
    run = live.run
    count = nodes or len(run.nodes)
    begin = run.start if step_id != "0" else (run.start or 0.0) + 2
    if run.end is None or run.state is JobState.NODE_FAIL:
        state = JobState.RUNNING
        return Step(id=step_id, name=name, state=state, start=begin, tasks=tasks or count, nodes=count)
    # slurmd ends the extern step of any run in good order.
    state, exit_ = _ENDS[JobState.COMPLETED] if step_id == EXTERN else _ENDS.get(run.state, _CANCELLED)
    return Step(
        id=step_id, name=name, state=state, start=begin, end=run.end, tasks=tasks or count, nodes=count, exit=exit_,
        cpu_seconds=used.cpu_seconds, memory_bytes=used.memory_bytes,
        memory_task_bytes=used.memory_bytes // (tasks or count), gpu_utilization=used.gpu_utilization,
        gpu_memory_bytes=used.gpu_memory_bytes,
    )  # fmt: skip


def _whole(live: LiveRun) -> _Used:
    """Add up what an ended run has used on all its nodes."""
    end = live.run.end or 0.0
    uses = Columns((live,))
    gpus = gpus_of((live,), end)
    held = live.run.allocated.gpu_count
    return _Used(
        cpu_seconds=round(sum(uses.cpu_seconds(end)), 3),
        memory_bytes=int(sum(uses.memory_bytes(end)[1])),
        gpu_utilization=round(float(gpus["utilization"].sum()) / held, 2) if held else None,
        gpu_memory_bytes=int(gpus["memory_bytes"].sum()) if held else None,
    )
