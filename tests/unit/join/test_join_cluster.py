import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.cluster import join_cluster, owners
from aggregator.model.accounting import Account, Accounting, JobState, Run
from aggregator.model.storage import Award
from aggregator.model.use import Use
from aggregator.model.view import ClusterView, Job, JobEnergy, JobUse
from tests.builders import FAIR_SHARE, NOW, make_job, make_run, make_use

AWARDS = {"def-kim": Award(cpus=100.0)}


def join(*runs: Run, use: Use | None = None, previous: dict[int, JobUse] | None = None) -> ClusterView:
    accounting = Accounting(NOW, runs, {"def-kim": Account("def-kim", "root")})
    return join_cluster(
        "narval", NOW, accounting, use, previous=previous or {}, fair_share=FAIR_SHARE, awards=AWARDS
    )  # fmt: skip


def test_without_accounting_there_are_no_jobs_but_awards() -> None:
    view = join_cluster("narval", NOW, None, make_use(), previous={}, fair_share=FAIR_SHARE, awards=AWARDS)
    assert view == ClusterView(cluster="narval", time=NOW, awards=AWARDS)


def test_without_use_the_jobs_are_there_and_their_use_is_not_known() -> None:
    view = join(make_run(), use=None)
    assert view.jobs[0].use == JobUse()
    assert view.jobs[0].efficiency.time_limit_used == 0.5


def test_jobs_are_newest_first() -> None:
    view = join(make_run(run_id=1, job_id=10), make_run(run_id=3, job_id=9), make_run(run_id=2, job_id=10))
    assert [(job.run.job_id, job.run.run_id) for job in view.jobs] == [(10, 2), (10, 1), (9, 3)]


def test_the_view_has_the_sums_the_tree_and_the_awards() -> None:
    view = join(make_run())
    assert [sums.account for sums in view.accounts] == ["def-kim"]
    assert [sums.user for sums in view.users] == ["alice"]
    assert view.tree == {"def-kim": Account("def-kim", "root")}
    assert view.awards == AWARDS


def test_an_ended_run_keeps_the_use_of_the_last_snapshot() -> None:
    view = join(make_run(end=NOW - 5, state=JobState.COMPLETED), use=make_use(), previous={101: JobUse(cpus=4.0)})
    assert view.jobs[0].use.cpus == 4.0


def test_a_requeued_job_has_two_runs_and_one_series() -> None:
    old = make_run(run_id=1, state=JobState.REQUEUED, end=NOW - 60)
    new = make_run(run_id=2, submit=NOW - 60, start=None, state=JobState.PENDING)
    view = join(old, new)
    assert len(view.jobs) == 2
    assert [job.run.run_id for job in view.series] == [2]


def test_the_open_run_owns_the_id_even_if_an_ended_one_was_submitted_later() -> None:
    ended = make_job(run_id=9, submit=NOW, end=NOW)
    is_open = make_job(run_id=1, submit=NOW - 100)
    assert owners([ended, is_open]) == owners([is_open, ended]) == (is_open,)


def test_of_ended_runs_the_one_submitted_last_owns_the_id() -> None:
    first, second = make_job(run_id=9, submit=1.0, end=NOW), make_job(run_id=1, submit=2.0, end=NOW)
    assert owners([first, second]) == (second,)


def test_of_runs_submitted_at_once_the_newest_row_owns_the_id() -> None:
    first, second = make_job(run_id=2**63), make_job(run_id=2**63 + 1)
    assert owners([second, first]) == (second,)


def powered(job: Job, node_watts: float | None, gpu_watts: float | None = None) -> Job:
    return replace(job, energy=JobEnergy("two_part", 1.0, node_watts, gpu_watts))


def test_the_owner_of_an_id_shows_the_power_of_both_its_runs() -> None:
    """One that was requeued in the ledger's last window has its part of that window, and no series of its own."""
    former = powered(make_job(run_id=1, submit=1.0, end=NOW), 200.0, 50.0)
    (bare,) = owners([former, make_job(run_id=2)])
    (own,) = owners([former, powered(make_job(run_id=2), 30.0)])
    assert bare.energy == JobEnergy("two_part", None, 200.0, 50.0)
    assert own.energy == JobEnergy("two_part", 1.0, 230.0, 50.0)


def test_the_owner_of_an_id_shows_no_power_of_somebody_else() -> None:
    former = powered(make_job(run_id=1, submit=1.0, end=NOW, user="mallory"), 200.0)
    assert owners([former, make_job(run_id=2)]) == (make_job(run_id=2),)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.booleans()), max_size=6))
def test_every_id_has_one_owner_whatever_the_order(rows: list[tuple[int, int, bool]]) -> None:
    jobs = [
        make_job(run_id=number, job_id=job_id, submit=float(submit), end=None if is_open else NOW)
        for number, (job_id, submit, is_open) in enumerate(rows)
    ]
    chosen = {job.run.job_id: job.run.run_id for job in owners(jobs)}
    assert chosen.keys() == {job.run.job_id for job in jobs}
    for shuffled in itertools.islice(itertools.permutations(jobs), 24):
        assert {job.run.job_id: job.run.run_id for job in owners(shuffled)} == chosen
