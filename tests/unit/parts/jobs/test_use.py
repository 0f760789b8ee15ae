"""Which samples are a run's, and what they add up to."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import BASES, Use, runs_of
from aggregator.parts.jobs.use import USE, use_of_runs
from tests.builders import GIB, NOW, make_allocation, make_run, make_use
from tests.unit.parts.jobs.sites import bases, runs, uses
from tests.use import Base, make_bases

TWO_NODES = make_run(nodes=("node01", "node02"), allocated=make_allocation(nodes=2))


def on(**values: float) -> dict[int, dict[str, float]]:
    """Give values of the run's job id by node."""
    return {4711: values}


Row = dict[str, Any]


def use_by_run(runs: Iterable[Run], use: Use, last: Mapping[int, Row] | None = None) -> dict[int, Row]:
    """Give what is known of runs, by run id; `last` is what was known before."""
    before = pl.DataFrame([{"run_id": run_id, **row} for run_id, row in (last or {}).items()], schema=USE)
    found = use_of_runs(runs_of(tuple(runs)).runs, use, pl.DataFrame(schema=BASES), before)
    rows = ({name: value for name, value in row.items() if value is not None} for row in found.to_dicts())
    return {row.pop("run_id"): row for row in rows}


def known(run: Run, **inputs: object) -> Row:
    return use_by_run([run], make_use(**inputs))[run.run_id]


def test_a_sample_of_the_runs_node_is_its_use() -> None:
    joined = known(
        make_run(), cpus=on(node01=6.5), memory_bytes=on(node01=2.0 * GIB), memory_peak_bytes=on(node01=3.0 * GIB),
        threads=on(node01=9.0), cpu_seconds=on(node01=1e4),
    )  # fmt: skip
    assert joined == {
        "used_cpus": 6.5, "cpu_seconds": 1e4, "memory_used_bytes": 2.0 * GIB, "memory_peak_bytes": 3.0 * GIB,
        "running_threads": 9.0, "cpu_coverage_ratio": 1.0, "memory_coverage_ratio": 1.0, "observed_seconds": 3600.0,
    }  # fmt: skip


def test_a_sample_of_a_node_that_the_run_does_not_hold_is_not_its_use() -> None:
    joined = known(make_run(), cpus=on(node02=6.5))
    assert joined.get("used_cpus") is None
    assert joined.get("cpu_coverage_ratio") == 0.0


def test_a_sample_of_another_job_is_not_its_use() -> None:
    assert known(make_run(), cpus={4712: {"node01": 6.5}}).get("used_cpus") is None


def test_a_run_whose_nodes_are_unknown_is_joined_by_its_id_alone() -> None:
    assert known(make_run(nodes=()), cpus=on(node07=2.0)).get("used_cpus") == 2.0


def test_an_input_that_failed_is_not_known_and_not_covered_zero() -> None:
    joined = known(make_run(), cpus=None, cpu_seconds=None, memory_bytes=None, memory_peak_bytes=None, threads=None)
    assert joined == {}


def test_an_input_without_the_job_covers_nothing() -> None:
    joined = known(make_run())
    assert (joined.get("used_cpus"), joined.get("cpu_coverage_ratio")) == (None, 0.0)
    assert (joined.get("memory_used_bytes"), joined.get("memory_coverage_ratio")) == (None, 0.0)


def test_values_of_several_nodes_add_up() -> None:
    joined = known(TWO_NODES, cpus=on(node01=6.0, node02=1.0))
    assert (joined.get("used_cpus"), joined.get("cpu_coverage_ratio")) == (7.0, 1.0)


def test_a_node_without_a_series_lowers_the_coverage() -> None:
    joined = known(TWO_NODES, cpus=on(node01=6.0), memory_bytes=on(node02=1.0))
    assert joined.get("cpu_coverage_ratio") == joined.get("memory_coverage_ratio") == 0.5


def test_coverage_rests_on_the_allocated_nodes_where_their_names_are_unknown() -> None:
    run = make_run(nodes=(), allocated=make_allocation(nodes=4))
    assert known(run, cpus=on(node01=1.0)).get("cpu_coverage_ratio") == 0.25


def test_more_series_than_nodes_do_not_cover_more_than_all() -> None:
    run = make_run(nodes=(), allocated=make_allocation(nodes=1))
    assert known(run, cpus=on(a=1.0, b=1.0)).get("cpu_coverage_ratio") == 1.0


def test_a_counter_or_peak_that_lacks_a_node_is_not_known() -> None:
    joined = known(TWO_NODES, cpu_seconds=on(node01=100.0), memory_peak_bytes=on(node02=5.0))
    assert joined.get("cpu_seconds") is None
    assert joined.get("memory_peak_bytes") is None


def test_a_counter_of_all_nodes_is_their_sum() -> None:
    assert known(TWO_NODES, cpu_seconds=on(node01=100.0, node02=1.0)).get("cpu_seconds") == 101.0


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
    assert use_by_run(runs, make_use(cpus=on(node01=3.0)))[2].get("used_cpus") == 3.0
    assert use_by_run(runs, make_use(cpus=on(node01=3.0))).keys() == {2}


def test_samples_left_on_the_old_node_are_not_of_the_requeued_run() -> None:
    runs = requeued(NOW - 300, NOW - 250, ("node02",))
    joined = use_by_run(runs, make_use(cpus=on(node01=3.0), memory_bytes=on(node01=5.0, node02=7.0)))
    assert joined[2].get("used_cpus") is None
    assert joined[2].get("memory_used_bytes") == 7.0


def test_a_rate_whose_window_reaches_into_the_previous_run_is_not_known() -> None:
    runs = requeued(NOW - 100, NOW - 60, ("node01",))
    joined = use_by_run(runs, make_use(cpus=on(node01=3.0), memory_bytes=on(node01=5.0), cpu_window=120.0))
    assert (joined[2].get("used_cpus"), joined[2].get("cpu_coverage_ratio")) == (None, None)
    assert joined[2].get("memory_used_bytes") == 5.0


def test_a_rate_whose_window_begins_after_the_previous_run_is_known() -> None:
    runs = requeued(NOW - 120, NOW - 60, ("node01",))
    assert use_by_run(runs, make_use(cpus=on(node01=3.0), cpu_window=120.0))[2].get("used_cpus") == 3.0


def test_the_end_of_another_jobs_run_does_not_matter() -> None:
    runs = [make_run(run_id=1, job_id=1, end=NOW - 1), make_run(run_id=2)]
    assert use_by_run(runs, make_use(cpus=on(node01=3.0)))[2].get("used_cpus") == 3.0


@pytest.mark.parametrize("changes", [{"state": JobState.PENDING, "start": None}, {"end": NOW - 1}])
def test_runs_that_hold_nothing_have_no_use(changes: dict[str, object]) -> None:
    assert use_by_run([make_run(**changes)], make_use(cpus=on(node01=3.0))) == {}


def test_a_suspended_run_has_a_use() -> None:
    assert known(make_run(state=JobState.SUSPENDED), cpus=on(node01=0.0)).get("used_cpus") == 0.0


LAST = {"used_cpus": 3.0}


def test_an_ended_run_keeps_its_last_use() -> None:
    assert use_by_run([make_run(end=NOW)], make_use(), {101: LAST}) == {101: LAST}


def test_an_ended_run_that_was_never_seen_has_no_use() -> None:
    assert use_by_run([make_run(end=NOW)], make_use()) == {}


def test_an_open_run_does_not_keep_an_old_use_and_forgotten_runs_are_gone() -> None:
    found = use_by_run([make_run()], make_use(cpus=on(node01=1.0)), {101: LAST, 999: LAST})
    assert (found.keys(), found[101]["used_cpus"]) == ({101}, 1.0)


NODES = ("node01", "node02", "node03")


@given(
    st.lists(st.sampled_from(NODES), unique=True),
    st.dictionaries(st.sampled_from((*NODES, "other")), st.integers(0, 1000).map(float)),
)
def test_what_a_run_uses_is_the_sum_over_its_own_nodes(nodes: list[str], values: dict[str, float]) -> None:
    run = make_run(nodes=tuple(nodes), allocated=make_allocation(nodes=len(nodes)))
    own = [value for node, value in values.items() if node in nodes or not nodes]
    joined = known(run, cpus=on(**values))
    assert joined.get("used_cpus") == (sum(own) if own else None)
    assert joined.get("cpu_coverage_ratio") is not None
    assert 0.0 <= joined.get("cpu_coverage_ratio") <= 1.0


@given(runs(), uses(), bases())
def test_of_any_site_no_run_comes_twice_and_nothing_is_negative(
    found: list[Run], use: Use, of: dict[int, Base]
) -> None:
    frame = use_of_runs(runs_of(found).runs, use, make_bases(of).frame, pl.DataFrame(schema=USE))
    assert frame["run_id"].is_unique().all()
    assert set(frame["run_id"]) <= {run.run_id for run in found}
    for name in ("cpu_coverage_ratio", "memory_coverage_ratio", "gpu_coverage_ratio"):
        assert frame[name].drop_nulls().is_between(0, 1).all(), name
    of_gpus = frame.select("gpus_observed", "gpus_busy", "gpus_judged", "gpu_utilization_ratio", "observed_seconds")
    assert all(
        (column.drop_nulls() >= 0).all() for column in of_gpus.get_columns() if column.name != "observed_seconds"
    )


def test_no_run_at_all_has_no_row() -> None:
    frame = use_of_runs(runs_of([]).runs, Use(time=0.0), pl.DataFrame(schema=BASES), pl.DataFrame(schema=USE))
    assert frame.schema == USE
    assert frame.is_empty()


RESIZED = make_run(start=NOW - 600, job_start=NOW - 7200)


def resized(base: Base | None, **inputs: object) -> Row:
    """Give what is known of a run that a resize has made ten minutes ago, with the counters of an hour before."""
    use = make_use(cpu_seconds=on(node01=1000.0), memory_peak_bytes=on(node01=9.0), **inputs)
    of = make_bases({101: base} if base else {}).frame
    (row,) = use_of_runs(runs_of([RESIZED]).runs, use, of, pl.DataFrame(schema=USE)).to_dicts()
    return row


def test_a_resized_run_has_what_its_counters_have_gained_since_it_began() -> None:
    row = resized(Base({"node01": NOW - 590}, {"node01": 400.0}, {"node01": 5.0}))
    assert (row["cpu_seconds"], row["memory_peak_bytes"], row["observed_seconds"]) == (600.0, 9.0, 590.0)


def test_a_peak_that_has_not_grown_since_a_resize_may_have_been_before() -> None:
    assert resized(Base({"node01": NOW - 590}, {"node01": 400.0}, {"node01": 9.0}))["memory_peak_bytes"] is None


def test_of_a_resized_run_without_a_base_nothing_is_known_since_its_start() -> None:
    row = resized(None)
    assert {row[name] for name in ("cpu_seconds", "memory_peak_bytes", "observed_seconds")} == {None}


@pytest.mark.parametrize("ends", [(NOW - 3000, NOW - 100), (NOW - 100, NOW - 3000)])
def test_a_slope_that_reaches_back_into_any_earlier_run_of_the_id_is_not_this_runs(ends: tuple[float, ...]) -> None:
    """Its window is 120 s long, and one of the earlier runs ended within it."""
    earlier = [make_run(run_id=number, state=JobState.REQUEUED, end=end) for number, end in enumerate(ends)]
    now = make_run(run_id=9, start=NOW - 90)
    assert "used_cpus" not in use_by_run([*earlier, now], make_use(cpus=on(node01=6.5)))[9]
