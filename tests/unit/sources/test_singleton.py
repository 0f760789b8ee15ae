"""Whom a singleton waits for: those of its user and name that were submitted before, and those that run."""

from aggregator.model.accounting import JobState, Run
from aggregator.sources.slurmacct.details import goes_first
from tests.builders import HOSTILE_NAMES, NOW, make_run


def waiting(job_id: int, **changes: object) -> Run:
    return make_run(job_id=job_id, run_id=job_id, state=JobState.PENDING, start=None, **changes)


def test_an_earlier_one_goes_first_and_a_later_one_does_not() -> None:
    assert goes_first(waiting(1), waiting(2))
    assert not goes_first(waiting(2), waiting(1))
    assert not goes_first(waiting(1), waiting(1)), "nobody waits for himself"


def test_one_that_runs_goes_first_whatever_its_id() -> None:
    assert goes_first(make_run(job_id=9), waiting(2))


def test_nobody_waits_who_runs_and_nobody_for_who_has_ended() -> None:
    assert not goes_first(waiting(1), make_run(job_id=2))
    assert not goes_first(make_run(job_id=1, state=JobState.COMPLETED, end=NOW), waiting(2))


def test_another_name_is_another_job() -> None:
    for name in HOSTILE_NAMES:
        assert goes_first(waiting(1, name=name), waiting(2, name=name))
        assert not goes_first(waiting(1, name=name), waiting(2, name="train.sh"))
