"""What the steps of a run add up to."""

from dataclasses import replace

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.steps import Recorded, RecordedUse, Step
from aggregator.parts.jobs.steps import close_steps, recorded_use, step_efficiency
from tests.builders import GIB, NOW, make_allocation, make_run

ENDED = make_run(state=JobState.FAILED, end=NOW, allocated=make_allocation(cpus=2, memory_bytes=8 * GIB))


def make_step(name: str = "0", **changes: object) -> Step:
    return replace(Step(id=name, name="x", state=JobState.COMPLETED, start=NOW - 10, end=NOW), **changes)  # type: ignore[arg-type]


def test_cpu_time_is_that_of_all_steps_and_memory_that_of_the_largest() -> None:
    steps = (make_step("batch", cpu_seconds=1.5, memory_bytes=GIB), make_step(cpu_seconds=2.0, memory_bytes=3 * GIB))
    use = recorded_use(Recorded(steps))
    assert (use.cpu_seconds, use.memory_peak_bytes) == (3.5, 3 * GIB)


@pytest.mark.parametrize("steps", [(), (make_step(), make_step("batch"))], ids=["none", "slurmstepd died"])
def test_steps_of_which_nothing_was_written_are_not_known(steps: tuple[Step, ...]) -> None:
    assert recorded_use(Recorded(steps)) == RecordedUse()


def test_some_of_the_steps_do_not_tell_the_cpu_time_nor_the_energy() -> None:
    steps = (make_step(cpu_seconds=2.0, memory_bytes=GIB, energy_joules=5),)
    assert recorded_use(Recorded(steps, cut=True)) == RecordedUse(None, GIB)


@pytest.mark.parametrize(
    ("total", "extern", "others", "expected"),
    [
        (9, 5, (1, 2), (9, "slurmdbd tres_alloc")),
        (None, 5, (1, 2), (5, "slurmdbd step extern")),
        (0, None, (1, 2), (3, "slurmdbd steps")),
        (None, None, (None, 2), (2, "slurmdbd steps")),
        (None, None, (None,), (None, "")),
        (0, None, (), (None, "")),
    ],
)
def test_energy_is_slurmctlds_total_else_externs_else_the_sum(
    total: int | None, extern: int | None, others: tuple[int | None, ...], expected: tuple[int | None, str]
) -> None:
    """With extern, every step counts the same node again."""
    steps = [make_step("extern", energy_joules=extern), *(make_step(energy_joules=joules) for joules in others)]
    use = recorded_use(Recorded(tuple(steps), energy_joules=total))
    assert (use.energy_joules, use.energy_source) == expected


def test_an_open_step_ends_with_its_run() -> None:
    running = make_step(end=None, state=JobState.RUNNING)
    (closed,) = close_steps(ENDED, [running])
    assert (closed.end, closed.state) == (NOW, JobState.FAILED)
    assert close_steps(make_run(), [running]) == (running,)
    assert close_steps(replace(ENDED, state=JobState.RESIZING), [running]) == (running,), "it goes on in the next row"
    assert close_steps(ENDED, [make_step()]) == (make_step(),)


def test_efficiency_is_what_was_used_of_what_was_held() -> None:
    efficiency = step_efficiency(ENDED, RecordedUse(cpu_seconds=1800.0, memory_peak_bytes=2 * GIB))
    assert (efficiency.cpu, efficiency.memory) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("run", "use"),
    [
        (ENDED, RecordedUse()),
        (replace(ENDED, start=None, allocated=make_allocation(memory_bytes=0)), RecordedUse(5.0, 5)),
        (make_run(), RecordedUse(5.0, 5)),
    ],
    ids=["nothing recorded", "never started", "running"],
)
def test_efficiency_is_not_known_without_both(run: object, use: RecordedUse) -> None:
    efficiency = step_efficiency(run, use)  # type: ignore[arg-type]
    assert (efficiency.cpu, efficiency.memory) == (None, None)
