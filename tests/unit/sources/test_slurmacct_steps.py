"""Literal rows of the step table, as slurmdbd writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState
from aggregator.model.steps import Exit, Recorded, Step
from aggregator.sources.slurmacct.details import count_tasks
from aggregator.sources.slurmacct.rows import NO_VAL
from aggregator.sources.slurmacct.steps import (
    MAX_STEPS,
    STEP_COLUMNS,
    StepRow,
    parse_exit,
    parse_recorded,
    parse_step,
    step_id,
)

NOW = 1_800_000_000
GPU = {"gpuutil": 1002, "gpumem": 1003}


def make_row(**changes: Any) -> StepRow:
    return StepRow(**{
        "id_step": 0, "step_het_comp": NO_VAL, "step_name": b"srun", "state": 3, "time_start": NOW - 60,
        "time_end": NOW, "exit_code": 0, "task_cnt": 4, "nodes_alloc": 2, "user_sec": 3, "user_usec": 250_000,
        "sys_sec": 1, "sys_usec": 500_000, "consumed_energy": 18446744073709551614, "tres_usage_in_tot": b"1=9,2=800",
        "tres_usage_in_max": b"2=300", "tres_usage_in_ave": b"2=200", **changes,
    })  # fmt: skip


def test_a_completed_step() -> None:
    assert parse_step(make_row(), GPU) == Step(
        id="0", name="srun", state=JobState.COMPLETED, start=NOW - 60.0, end=float(NOW), tasks=4, nodes=2,
        exit=Exit(0, 0), cpu_seconds=4.75, memory_bytes=800, memory_task_bytes=300,
    )  # fmt: skip


def test_columns_are_selected_in_the_order_of_their_row() -> None:
    assert tuple(STEP_COLUMNS) == StepRow._fields


@pytest.mark.parametrize(
    ("number", "component", "shown"),
    [
        (-5, NO_VAL, "batch"),
        (-4, NO_VAL, "extern"),
        (-6, NO_VAL, "interactive"),
        (-3, NO_VAL, "TBD"),
        (4294967291, NO_VAL, "batch"),
        (4294967292, NO_VAL, "extern"),
        (0, NO_VAL, "0"),
        (12, 1, "12+1"),
    ],
)
def test_ids_are_those_of_sacct(number: int, component: int, shown: str) -> None:
    assert step_id(number, component) == shown


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0, Exit(0, 0)),
        (3 << 8, Exit(3, 0)),
        (9, Exit(0, 9)),
        (15 | 128, Exit(0, 15)),
        (253, Exit(0, 125)),
        (0x7F, Exit(0, 0)),
        (NO_VAL, None),
        (-1, None),
    ],
)
def test_exit_codes_are_status_words_of_wait(word: int, expected: Exit | None) -> None:
    """253 is Slurm's own for out of memory, which sacct prints as 0:125."""
    assert parse_exit(word) == expected


def test_a_step_whose_slurmstepd_died_has_used_an_unknown_amount() -> None:
    step = parse_step(
        make_row(user_sec=0, user_usec=0, sys_sec=0, sys_usec=0, tres_usage_in_tot=None, tres_usage_in_max=b"",
                 tres_usage_in_ave=None, consumed_energy=0, time_end=0),
        GPU,
    )  # fmt: skip
    assert (step.cpu_seconds, step.memory_bytes, step.energy_joules, step.exit) == (None, None, None, None)


def test_gpu_keys_are_there_since_23_02_and_zero_is_a_value() -> None:
    row = make_row(tres_usage_in_ave=b"1002=0", tres_usage_in_tot=b"1003=5")
    assert (parse_step(row, GPU).gpu_utilization, parse_step(row, GPU).gpu_memory_bytes) == (0.0, 5)
    assert (parse_step(row, {}).gpu_utilization, parse_step(row, {}).gpu_memory_bytes) == (None, None)


def test_a_state_with_flags_is_masked_and_an_unknown_one_is_unknown() -> None:
    assert parse_step(make_row(state=0x8001), GPU).state is JobState.RUNNING
    assert parse_step(make_row(state=200), GPU).state is None


def test_a_run_without_a_row_has_nothing_but_steps() -> None:
    assert parse_recorded([], [], []) == Recorded(())
    assert parse_recorded([tuple(make_row())] * MAX_STEPS, [], []).cut


@pytest.mark.parametrize(("stored", "shown"), [(None, None), (-1, None), (4294967295, None), (0, 0), (3001, 3001)])
def test_who_cancelled(stored: int | None, shown: int | None) -> None:
    assert parse_recorded([], [(b"3=18446744073709551614", 9, stored)], []) == Recorded((), Exit(0, 9), shown)


@given(st.binary(), st.integers(0, 2**16 - 1), st.integers(-(2**31), 2**31 - 1))
def test_no_row_is_an_error(column: bytes, state: int, number: int) -> None:
    row = make_row(step_name=column, tres_usage_in_tot=column, state=state, id_step=number, exit_code=number)
    assert parse_step(row, GPU).id


def test_tasks_are_counted_by_their_newest_run() -> None:
    rows = [(0, 10, 1024, 0), (0, 20, 1, 0), (1, 10, 3, 0), (NO_VAL, 10, 0, 5), (2, 1, 99, 0)]
    assert count_tasks(rows).states == {"running": 1, "completed": 1, "pending": 5, "unknown": 1}
    assert count_tasks([]).states == {}
