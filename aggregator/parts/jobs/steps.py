"""What do a run's steps add up to?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from aggregator.model.accounting import JobState, Run
from aggregator.model.steps import Recorded, RecordedUse, Step, StepEfficiency
from aggregator.parts.jobs.efficiency import MOST_OF_ALLOCATED

EXTERN = "extern"


def close_steps(run: Run, steps: Iterable[Step]) -> tuple[Step, ...]:
    """End the open steps of an ended run with it, as sacct does; a resized run's go on in the next row."""
    if run.is_open or run.state is JobState.RESIZING:
        return tuple(steps)
    return tuple(replace(step, end=run.end, state=run.state) if step.end is None else step for step in steps)


def recorded_use(recorded: Recorded) -> RecordedUse:
    """Add up the steps: CPU time of all of them (their processes are disjoint), the largest step's memory.

    Nothing at all is what a step whose slurmstepd died leaves behind: not known, rather than 0.
    """
    steps = recorded.steps
    joules, source = _energy(recorded)
    return RecordedUse(
        # Of some of the steps only, the sum would accuse the run of what nobody has measured.
        cpu_seconds=None if recorded.cut else sum(step.cpu_seconds or 0.0 for step in steps) or None,
        memory_peak_bytes=max((step.memory_bytes for step in steps if step.memory_bytes), default=None),
        energy_joules=joules,
        energy_source=source,
    )


def _energy(recorded: Recorded) -> tuple[int | None, str]:
    """Choose the run's energy: slurmctld's own total, else the extern step's, which counts whole nodes, else the sum.

    With PrologFlags=Contain every step counts the same node again, so that a sum beside extern would be too much.
    """
    if recorded.energy_joules:
        return recorded.energy_joules, "slurmdbd tres_alloc"
    extern = next((step.energy_joules for step in recorded.steps if step.id == EXTERN), None)
    if extern:
        return extern, "slurmdbd step extern"
    known = _known(recorded.steps)
    return (sum(known), "slurmdbd steps") if known and not recorded.cut else (None, "")


def _known(steps: Sequence[Step]) -> list[int]:
    return [step.energy_joules for step in steps if step.energy_joules and step.id != EXTERN]


def step_efficiency(run: Run, use: RecordedUse) -> StepEfficiency:
    """Compute the efficiency of an ended run from its steps."""
    if run.end is None:
        return StepEfficiency()
    allocated = run.elapsed(run.end) * run.allocated.cpus
    return StepEfficiency(
        cpu=_ratio(use.cpu_seconds, allocated), memory=_ratio(use.memory_peak_bytes, run.allocated.memory_bytes)
    )


def _ratio(used: float | None, allocated: float | None) -> float | None:
    """Give used ÷ allocated; None of nothing, and where Slurm cannot be managing the resource."""
    if used is None or not allocated or used > MOST_OF_ALLOCATED * allocated:
        return None
    return used / allocated
