from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.sums import sum_by_account, sum_by_user
from aggregator.model.accounting import JobState
from aggregator.model.view import Efficiency, GpuUse, Job, JobUse, Sums
from aggregator.model.waste import Judgement
from tests.builders import GIB, NOW, make_allocation, make_finding, make_job, make_run

KNOWN = ("used_cpus", "used_memory_bytes", "used_gpus", "wasted_cpus", "wasted_memory_bytes", "wasted_gpus",
         "wasted_cpu_seconds", "wasted_gpu_seconds", "busy_gpus", "memory_peak_bytes")  # fmt: skip
VALUE = st.none() | st.integers(0, 2**40).map(float)
RUNS = st.builds(
    make_run,
    user=st.sampled_from(["alice", "bob", "carol"]),
    account=st.sampled_from(["def-kim", "def-lee", ""]),
    state=st.sampled_from([JobState.RUNNING, JobState.SUSPENDED, JobState.PENDING]),
    start=st.sampled_from([None, NOW - 3600]),
    end=st.sampled_from([None, None, NOW - 5]),
    pending_tasks=st.integers(0, 1000),
    allocated=st.builds(
        make_allocation,
        cpus=st.integers(0, 512),
        memory_bytes=st.integers(0, 2**62),
        gpus=st.dictionaries(st.sampled_from(["a100", "h100", ""]), st.integers(1, 8)),
    ),
)
GPUS = st.none() | st.builds(
    GpuUse, coverage=st.sampled_from([0.0, 0.5, 1.0]), judged=st.sampled_from([0.0, 1.0, 4.0]),
    utilization=st.sampled_from([None, 0.0, 0.25, 1.0]), busy=st.none() | st.integers(0, 8),
)  # fmt: skip
JOBS = st.lists(
    st.builds(
        Job,
        RUNS,
        st.builds(
            JobUse,
            cpus=VALUE,
            memory_bytes=VALUE,
            memory_peak_bytes=VALUE,
            gpu=GPUS,
            cpu_coverage=st.none() | st.just(0.5),
        ),
        st.builds(
            Efficiency,
            wasted_cpus=VALUE,
            wasted_memory_bytes=VALUE,
            wasted_gpus=VALUE,
            wasted_cpu_seconds=VALUE,
            wasted_gpu_seconds=VALUE,
        ),
    ),
    max_size=12,
)


def total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def column(sums: Iterable[Sums], name: str) -> object:
    """Add one column over sums: numbers, or counts by state or type."""
    values = [getattr(each, name) for each in sums]
    if name in ("jobs", "allocated_gpus"):
        counts: Counter[str] = Counter()
        for value in values:
            counts.update(value)
        return dict(counts)
    return total(values)


@given(JOBS)
def test_users_and_accounts_add_up_to_the_jobs_in_every_column(jobs: list[Job]) -> None:
    users, accounts = sum_by_user(jobs), sum_by_account(jobs)
    for name in (*KNOWN, "allocated_cpus", "allocated_memory_bytes", "allocated_gpus", "jobs"):
        assert column(users, name) == column(accounts, name), name

    running = [job for job in jobs if job.run.holds_resources]
    assert column(users, "allocated_cpus") == (sum(job.run.held.cpus for job in running) if users else None)
    assert column(users, "used_cpus") == total(job.use.cpus for job in running)
    assert column(users, "used_memory_bytes") == total(job.use.memory_bytes for job in running)
    assert column(users, "used_gpus") == total(job.use.gpu.used for job in running if job.use.gpu)
    assert column(users, "busy_gpus") == total(job.use.gpu.busy for job in running if job.use.gpu)
    assert column(users, "memory_peak_bytes") == total(job.use.memory_peak_bytes for job in running)
    for name in (name for name in KNOWN if name.startswith("wasted_")):
        assert column(users, name) == total(getattr(job.efficiency, name) for job in running)
    assert sum(sum(each.jobs.values()) for each in users) == sum(
        job.run.pending_tasks or 1 for job in jobs if job.run.is_open
    )
    assert sum(sum(each.allocated_gpus.values()) for each in users) == sum(
        job.run.allocated.gpu_count for job in running
    )


@given(JOBS)
def test_there_is_one_sum_per_owner_and_coverage_is_a_ratio(jobs: list[Job]) -> None:
    users = sum_by_user(jobs)
    owners = [(each.account, each.user) for each in users]
    assert owners == sorted(set(owners))
    assert set(owners) == {(job.run.account, job.run.user) for job in jobs if job.run.is_open}
    assert all(0.0 <= ratio <= 1.0 for each in users for ratio in each.coverage.values())


def test_a_user_under_two_accounts_has_two_sums() -> None:
    jobs = [make_job(account="a"), make_job(account="b"), make_job(account="b")]
    assert [(each.account, each.user, each.jobs["running"]) for each in sum_by_user(jobs)] == [
        ("a", "alice", 1), ("b", "alice", 2),
    ]  # fmt: skip


def test_tasks_of_an_array_that_is_not_split_count_each() -> None:
    jobs = [
        make_job(state=JobState.PENDING, start=None, pending_tasks=96),
        make_job(state=JobState.PENDING, start=None),
        make_job(),
    ]
    assert sum_by_account(jobs)[0].jobs == {"pending": 97, "running": 1}


def test_a_used_or_wasted_sum_is_none_when_nothing_is_known() -> None:
    sums = sum_by_account([make_job(), make_job()])[0]
    assert [getattr(sums, name) for name in KNOWN] == [None] * len(KNOWN)
    assert sums.allocated_cpus == 16


def test_what_is_known_is_added_and_the_rest_lowers_the_coverage() -> None:
    seen = make_job(use=JobUse(cpus=3.0, cpu_coverage=1.0), allocated=make_allocation(cpus=6))
    sums = sum_by_account([seen, make_job(allocated=make_allocation(cpus=2))])[0]
    assert sums.used_cpus == 3.0
    assert sums.coverage["cpu"] == 0.75


def test_findings_are_counted_by_reason_and_severity() -> None:
    twice = Judgement((make_finding(), make_finding(name="other")))
    jobs = [Job(make_run(), JobUse(), Efficiency(), waste=twice), make_job(),
            Job(make_run(), JobUse(), Efficiency(), waste=Judgement((make_finding(),)))]  # fmt: skip
    assert sum_by_user(jobs)[0].waste_jobs == {("holds", "warning"): 2, ("other", "warning"): 1}
    assert sum_by_user([make_job()])[0].waste_jobs == {}


def test_coverage_of_what_nobody_holds_is_whole() -> None:
    assert sum_by_account([make_job()])[0].coverage["gpu"] == 1.0


@pytest.mark.parametrize("changes", [{"state": JobState.PENDING, "start": None}])
def test_an_owner_with_pending_jobs_only_holds_nothing(changes: dict[str, object]) -> None:
    sums = sum_by_user([make_job(use=JobUse(cpus=3.0), **changes)])[0]
    assert (sums.allocated_cpus, sums.used_cpus, dict(sums.coverage)) == (0, None, {})


def test_ended_runs_are_in_no_sum() -> None:
    assert sum_by_user([make_job(end=NOW - 1, state=JobState.COMPLETED)]) == ()


def test_suspended_jobs_hold_what_they_have_but_no_cpus() -> None:
    sums = sum_by_account([make_job(state=JobState.SUSPENDED)])[0]
    assert (sums.jobs, sums.allocated_cpus, sums.allocated_memory_bytes) == ({"suspended": 1}, 0, 64 * GIB)
