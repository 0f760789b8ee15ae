"""Runs as columns: what is put in comes out, one by one or as a whole."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import NO_RUNS, runs_of
from aggregator.sources.slurmacct.rows import close_replaced
from tests.builders import make_allocation, make_run
from tests.unit.parts.jobs.sites import runs


@given(runs())
def test_runs_come_out_as_they_were_put_in(found: list[Run]) -> None:
    assert list(runs_of(found)) == found


def test_nothing_of_a_run_is_lost() -> None:
    run = make_run(
        run_id=2**64 - 1, state=JobState.OUT_OF_MEMORY, array_job_id=4710, array_task_id=0, het_job_id=4700,
        het_offset=0, eligible=5.0, association_id=7, uid=0, nodes=("n1", "n2"), name="\n\"😀",
        allocated=make_allocation(gpus={"": 1, "a100": 2}, billing=0, licenses={"ansys": 2}, memory_bytes=None),
        requested=make_allocation(gpus={"a100": 3}, billing=9, licenses={"matlab": 1}),
    )  # fmt: skip
    assert list(runs_of([run])) == [run]
    assert list(NO_RUNS) == []


@given(runs(), st.sets(st.integers(1, 6)), st.sets(st.integers(1, 6)))
def test_changes_are_those_and_no_others(found: list[Run], changed: set[int], gone: set[int]) -> None:
    new = [replace(run, user="other") for run in found if run.run_id in changed - gone]
    after = list(runs_of(found).with_changes(runs_of(new), gone))
    assert sorted(after, key=lambda run: run.run_id) == [
        replace(run, user="other") if run.run_id in changed else run for run in found if run.run_id not in gone
    ]


@given(runs())
def test_of_each_id_at_most_the_newest_run_is_open(found: list[Run]) -> None:
    closed = list(close_replaced(runs_of(found)))
    newest: dict[int, Run] = {}
    for run in sorted((run for run in found if run.end is None), key=lambda run: (run.submit, run.run_id)):
        newest[run.job_id] = run
    assert [run for run in closed if run.end is None] == [run for run in found if newest.get(run.job_id) is run]
    for before, after in zip(found, closed, strict=True):
        if before.end is not None or newest[before.job_id] is before:
            assert after == before
        else:
            by = newest[before.job_id]
            state = JobState.REQUEUED if by.job_start is None else JobState.RESIZING
            assert after == replace(before, end=by.submit, state=state, suspended_since=None)
