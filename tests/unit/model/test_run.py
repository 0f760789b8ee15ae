import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState
from aggregator.model.jobid import parse_job_id
from tests.builders import NOW, make_run

TASK = make_run(job_id=124, array_job_id=123, array_task_id=4)
UNSPLIT = make_run(job_id=123, array_job_id=123, array_task_id=None, pending_tasks=96)
COMPONENT = make_run(job_id=126, het_job_id=125, het_offset=1)


def test_elapsed_of_an_open_run_goes_on() -> None:
    assert make_run(start=NOW - 60).elapsed(NOW) == 60


def test_elapsed_of_an_ended_run_stops_at_its_end() -> None:
    assert make_run(start=NOW - 60, end=NOW - 10).elapsed(NOW) == 50


def test_elapsed_asked_for_a_time_before_the_end_stops_at_that_time() -> None:
    assert make_run(start=NOW - 60, end=NOW).elapsed(NOW - 30) == 30


def test_suspensions_are_no_elapsed_time() -> None:
    assert make_run(start=NOW - 60, suspended_seconds=20.0).elapsed(NOW) == 40


def test_a_run_that_has_not_started_has_not_run() -> None:
    assert make_run(start=None, state=JobState.PENDING).elapsed(NOW) == 0


@given(st.floats(0, 4e9), st.none() | st.floats(1, 4e9), st.floats(0, 4e9), st.floats(0, 4e9))
def test_elapsed_is_never_negative_whatever_the_clocks(start: float, end: float | None, gone: float, at: float) -> None:
    assert make_run(start=start, end=end, suspended_seconds=gone).elapsed(at) >= 0


@pytest.mark.parametrize(
    ("run", "display"),
    [(make_run(job_id=123), "123"), (TASK, "123_4"), (UNSPLIT, "123_[…]"), (COMPONENT, "125+1")],
)
def test_ids_are_displayed_as_sacct_does(run: object, display: str) -> None:
    assert run.display_id == display  # type: ignore[attr-defined]


def test_the_first_task_is_displayed_as_a_task() -> None:
    assert dataclasses.replace(TASK, array_task_id=0).display_id == "123_0"


@pytest.mark.parametrize("asked", ["124", "123", "123_4"])
def test_a_task_is_meant_by_its_own_id_its_array_and_its_number(asked: str) -> None:
    assert TASK.is_meant_by(parse_job_id(asked))


@pytest.mark.parametrize("asked", ["4", "123_5", "124_4", "123+4", "999"])
def test_a_task_is_not_meant_by_another_number(asked: str) -> None:
    assert not TASK.is_meant_by(parse_job_id(asked))


@pytest.mark.parametrize(("asked", "meant"), [("125", True), ("126", True), ("125+1", True), ("125+0", False)])
def test_a_component_is_meant_by_the_leader_and_its_offset(asked: str, meant: bool) -> None:
    assert COMPONENT.is_meant_by(parse_job_id(asked)) is meant


def test_an_array_that_is_not_split_is_not_meant_by_one_task() -> None:
    assert not UNSPLIT.is_meant_by(parse_job_id("123_4"))
    assert UNSPLIT.is_meant_by(parse_job_id("123"))


def test_the_plain_job_is_not_meant_by_task_zero() -> None:
    assert not make_run(job_id=123).is_meant_by(parse_job_id("123_0"))


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"state": JobState.SUSPENDED}, True),
        ({"state": JobState.PENDING, "start": None}, False),
        ({"end": NOW}, False),
        ({"state": JobState.COMPLETED, "end": NOW}, False),
        ({"start": None}, False),
    ],
)
def test_only_started_runs_that_have_not_ended_hold_resources(changes: dict[str, object], holds: bool) -> None:
    assert make_run(**changes).holds_resources is holds
