"""Job ids are used again: which of the delivered scripts is that of a run?"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.script import script_ids, script_of
from aggregator.model.accounting import JobState, Run
from aggregator.model.script import ScriptRecord

NOW = 10_000.0
RUN = Run(
    cluster="c", run_id=1, job_id=7, user="alice", account="a", state=JobState.RUNNING, submit=1000.0, start=1010.0
)  # fmt: skip


def record(written_at: float, sha256: str = "x") -> ScriptRecord:
    return ScriptRecord(job_id=7, written_at=written_at, sha256=sha256, size=1)


def test_a_script_written_when_the_run_was_submitted_is_the_runs() -> None:
    assert script_of(RUN, [record(1000.5)], [RUN], NOW) == record(1000.5)


def test_the_clock_of_slurmctld_may_be_a_minute_behind() -> None:
    assert script_of(RUN, [record(940.0)], [RUN], NOW) == record(940.0)
    assert script_of(RUN, [record(939.0)], [RUN], NOW) is None


def test_of_several_the_newest_is_given_that_was_written_before_the_run_ended() -> None:
    records = [record(1000.0, "a"), record(1001.0, "b"), record(3001.0, "late")]
    ended = replace(RUN, end=3000.0)
    assert script_of(ended, records, [ended], NOW) == record(1001.0, "b")
    assert script_of(RUN, [record(NOW + 1)], [RUN], NOW) is None


def test_a_requeued_run_keeps_the_script_of_its_first_submission() -> None:
    again = replace(RUN, run_id=2, submit=2000.0, start=None)
    assert script_of(again, [record(1000.0)], [RUN, again], NOW) == record(1000.0)


def test_the_script_of_an_ids_former_owner_is_not_given_to_the_next() -> None:
    bob = replace(RUN, run_id=2, user="bob", submit=5000.0)
    alice = replace(RUN, end=2000.0)
    assert script_of(bob, [record(1000.0)], [alice, bob], NOW) is None
    assert script_of(bob, [record(1000.0), record(5001.0, "bob's")], [alice, bob], NOW) == record(5001.0, "bob's")
    assert script_of(alice, [record(1000.0), record(5001.0, "bob's")], [alice, bob], NOW) == record(1000.0)


def test_a_script_whose_run_is_not_known_any_more_is_given_to_nobody() -> None:
    bob = replace(RUN, run_id=2, user="bob", submit=5000.0)
    assert script_of(bob, [record(1000.0)], [bob], NOW) is None
    assert script_of(RUN, [record(1000.0)], [], NOW) is None
    assert script_of(RUN, [], [RUN], NOW) is None


@given(
    st.lists(st.tuples(st.sampled_from(["alice", "bob", "eve"]), st.integers(0, 500)), min_size=1, max_size=6),
    st.lists(st.integers(0, 600), max_size=6),
)
def test_no_history_of_an_id_gives_a_script_to_another_user(owners: list[tuple[str, int]], writings: list[int]) -> None:
    """A script is written when its run is submitted: within the slack of runs an hour apart, nobody else's is given."""
    runs = [replace(RUN, run_id=i, user=user, submit=3600.0 * i + at) for i, (user, at) in enumerate(owners)]
    records = [record(run.submit + seconds) for run, seconds in zip(runs, writings, strict=False)]
    for run in runs:
        chosen = script_of(run, records, runs, 1e9)
        writer = next((other.user for other, own in zip(runs, records, strict=False) if own == chosen), run.user)
        assert writer == run.user


def test_tasks_share_the_arrays_script_and_components_fall_back_to_the_leaders() -> None:
    assert script_ids(RUN) == (7,)
    assert script_ids(replace(RUN, job_id=130, array_job_id=123, array_task_id=4)) == (123,)
    assert script_ids(replace(RUN, job_id=124, het_job_id=123, het_offset=1)) == (124, 123)
    assert script_ids(replace(RUN, job_id=123, het_job_id=123, het_offset=0)) == (123,)
