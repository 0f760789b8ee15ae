import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.use import carry_over, use_by_run
from aggregator.model.accounting import JobState, Run
from aggregator.model.view import NO_USE, JobUse
from tests.builders import GIB, NOW, make_allocation, make_run, make_use

TWO_NODES = make_run(nodes=("node01", "node02"), allocated=make_allocation(nodes=2))


def on(**values: float) -> dict[int, dict[str, float]]:
    """Give values of the run's job id by node."""
    return {4711: values}


def use_of(run: Run, **inputs: object) -> JobUse:
    return use_by_run([run], make_use(**inputs))[run.run_id]


def test_a_sample_of_the_runs_node_is_its_use() -> None:
    joined = use_of(
        make_run(), cpus=on(node01=6.5), memory_bytes=on(node01=2.0 * GIB), memory_peak_bytes=on(node01=3.0 * GIB),
        threads=on(node01=9.0), cpu_seconds=on(node01=1e4),
    )  # fmt: skip
    assert joined == JobUse(
        cpus=6.5, cpu_seconds=1e4, memory_bytes=2.0 * GIB, memory_peak_bytes=3.0 * GIB, threads=9.0,
        cpu_coverage=1.0, memory_coverage=1.0, observed_seconds=3600.0,
    )  # fmt: skip


def test_a_sample_of_a_node_that_the_run_does_not_hold_is_not_its_use() -> None:
    joined = use_of(make_run(), cpus=on(node02=6.5))
    assert joined.cpus is None
    assert joined.cpu_coverage == 0.0


def test_a_sample_of_another_job_is_not_its_use() -> None:
    assert use_of(make_run(), cpus={4712: {"node01": 6.5}}).cpus is None


def test_a_run_whose_nodes_are_unknown_is_joined_by_its_id_alone() -> None:
    assert use_of(make_run(nodes=()), cpus=on(node07=2.0)).cpus == 2.0


def test_an_input_that_failed_is_not_known_and_not_covered_zero() -> None:
    joined = use_of(make_run(), cpus=None, cpu_seconds=None, memory_bytes=None, memory_peak_bytes=None, threads=None)
    assert joined == JobUse()


def test_an_input_without_the_job_covers_nothing() -> None:
    joined = use_of(make_run())
    assert (joined.cpus, joined.cpu_coverage) == (None, 0.0)
    assert (joined.memory_bytes, joined.memory_coverage) == (None, 0.0)


def test_values_of_several_nodes_add_up() -> None:
    joined = use_of(TWO_NODES, cpus=on(node01=6.0, node02=1.0))
    assert (joined.cpus, joined.cpu_coverage) == (7.0, 1.0)


def test_a_node_without_a_series_lowers_the_coverage() -> None:
    joined = use_of(TWO_NODES, cpus=on(node01=6.0), memory_bytes=on(node02=1.0))
    assert joined.cpu_coverage == joined.memory_coverage == 0.5


def test_coverage_rests_on_the_allocated_nodes_where_their_names_are_unknown() -> None:
    run = make_run(nodes=(), allocated=make_allocation(nodes=4))
    assert use_of(run, cpus=on(node01=1.0)).cpu_coverage == 0.25


def test_more_series_than_nodes_do_not_cover_more_than_all() -> None:
    run = make_run(nodes=(), allocated=make_allocation(nodes=1))
    assert use_of(run, cpus=on(a=1.0, b=1.0)).cpu_coverage == 1.0


def test_a_counter_or_peak_that_lacks_a_node_is_not_known() -> None:
    joined = use_of(TWO_NODES, cpu_seconds=on(node01=100.0), memory_peak_bytes=on(node02=5.0))
    assert joined.cpu_seconds is None
    assert joined.memory_peak_bytes is None


def test_a_counter_of_all_nodes_is_their_sum() -> None:
    assert use_of(TWO_NODES, cpu_seconds=on(node01=100.0, node02=1.0)).cpu_seconds == 101.0


@pytest.mark.parametrize("age", [0.0, 29.9, -5.0])
def test_a_run_younger_than_a_scrape_interval_is_left_out(age: float) -> None:
    assert use_by_run([make_run(start=NOW - age)], make_use(cpus=on(node01=1.0), interval=30.0)) == {}


def test_a_run_as_old_as_the_interval_is_joined() -> None:
    assert use_by_run([make_run(start=NOW - 30.0)], make_use(cpus=on(node01=1.0), interval=30.0))


def requeued(old_end: float, start: float, nodes: tuple[str, ...]) -> list[Run]:
    """Make an ended run on node01, and the open one of the same id."""
    return [
        make_run(run_id=1, state=JobState.REQUEUED, start=NOW - 7200, end=old_end),
        make_run(run_id=2, submit=old_end, start=start, nodes=nodes),
    ]


def test_a_requeued_job_gives_its_samples_to_the_open_run_only() -> None:
    runs = requeued(NOW - 3600, NOW - 3000, ("node01",))
    assert use_by_run(runs, make_use(cpus=on(node01=3.0)))[2].cpus == 3.0
    assert use_by_run(runs, make_use(cpus=on(node01=3.0))).keys() == {2}


def test_samples_left_on_the_old_node_are_not_of_the_requeued_run() -> None:
    runs = requeued(NOW - 300, NOW - 250, ("node02",))
    joined = use_by_run(runs, make_use(cpus=on(node01=3.0), memory_bytes=on(node01=5.0, node02=7.0)))
    assert joined[2].cpus is None
    assert joined[2].memory_bytes == 7.0


def test_a_rate_whose_window_reaches_into_the_previous_run_is_not_known() -> None:
    runs = requeued(NOW - 100, NOW - 60, ("node01",))
    joined = use_by_run(runs, make_use(cpus=on(node01=3.0), memory_bytes=on(node01=5.0), cpu_window=120.0))
    assert (joined[2].cpus, joined[2].cpu_coverage) == (None, None)
    assert joined[2].memory_bytes == 5.0


def test_a_rate_whose_window_begins_after_the_previous_run_is_known() -> None:
    runs = requeued(NOW - 120, NOW - 60, ("node01",))
    assert use_by_run(runs, make_use(cpus=on(node01=3.0), cpu_window=120.0))[2].cpus == 3.0


def test_the_end_of_another_jobs_run_does_not_matter() -> None:
    runs = [make_run(run_id=1, job_id=1, end=NOW - 1), make_run(run_id=2)]
    assert use_by_run(runs, make_use(cpus=on(node01=3.0)))[2].cpus == 3.0


@pytest.mark.parametrize("changes", [{"state": JobState.PENDING, "start": None}, {"end": NOW - 1}])
def test_runs_that_hold_nothing_have_no_use(changes: dict[str, object]) -> None:
    assert use_by_run([make_run(**changes)], make_use(cpus=on(node01=3.0))) == {}


def test_a_suspended_run_has_a_use() -> None:
    assert use_of(make_run(state=JobState.SUSPENDED), cpus=on(node01=0.0)).cpus == 0.0


def test_an_ended_run_keeps_its_last_use() -> None:
    last = JobUse(cpus=3.0)
    assert carry_over({101: last}, [make_run(end=NOW)], {}) == {101: last}


def test_an_ended_run_that_was_never_seen_has_no_use() -> None:
    assert carry_over({}, [make_run(end=NOW)], {}) == {101: NO_USE}


def test_an_open_run_does_not_keep_an_old_use() -> None:
    assert carry_over({101: JobUse(cpus=3.0)}, [make_run()], {}) == {}


def test_the_joined_use_wins_and_forgotten_runs_are_gone() -> None:
    now = JobUse(cpus=1.0)
    assert carry_over({101: JobUse(cpus=3.0), 999: JobUse(cpus=9.0)}, [make_run()], {101: now}) == {101: now}


NODES = ("node01", "node02", "node03")


@given(
    st.lists(st.sampled_from(NODES), unique=True),
    st.dictionaries(st.sampled_from((*NODES, "other")), st.integers(0, 1000).map(float)),
)
def test_what_a_run_uses_is_the_sum_over_its_own_nodes(nodes: list[str], values: dict[str, float]) -> None:
    run = make_run(nodes=tuple(nodes), allocated=make_allocation(nodes=len(nodes)))
    own = [value for node, value in values.items() if node in nodes or not nodes]
    joined = use_of(run, cpus=on(**values))
    assert joined.cpus == (sum(own) if own else None)
    assert joined.cpu_coverage is not None
    assert 0.0 <= joined.cpu_coverage <= 1.0
