"""Waits and days of runs, and what many of them add up to."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.calendar import Calendar
from aggregator.model.job_inputs import runs_of
from aggregator.parts.jobs.history import OF_GROUPS, add_history
from aggregator.parts.jobs.kept import KEPT, with_kept
from aggregator.parts.jobs.rows import plain_rows
from tests.builders import NOW, make_allocation, make_run

UTC = Calendar()
TORONTO = Calendar(ZoneInfo("America/Toronto"), "America/Toronto")


def ended(run_id: int = 1, wait: float = 10.0, seconds: float = 100.0, **changes: object) -> Run:
    return make_run(**{
        "run_id": run_id, "state": JobState.COMPLETED, "eligible": NOW - 1000 - wait, "start": NOW - 1000,
        "end": NOW - 1000 + seconds, "time_limit_seconds": 200.0, "allocated": make_allocation(cpus=2), **changes,
    })  # fmt: skip


def rows_of(
    runs: Sequence[Run], kept: Mapping[int, Mapping[str, float]] | None = None, calendar: Calendar = UTC
) -> pl.DataFrame:
    frame = runs_of(runs).runs
    summaries = pl.DataFrame([{"run_id": run_id, **row} for run_id, row in (kept or {}).items()], schema=KEPT)
    nothing = pl.lit(None, pl.Float64)
    rows = plain_rows(frame, math.inf).with_columns(wasted_gpu_seconds=nothing, wasted_gpu_unit_seconds=nothing)
    jobs = with_kept(rows, summaries)
    return add_history(jobs, frame, "end", calendar)


def group_of(runs: Sequence[Run], kept: Mapping[int, Mapping[str, float]] | None = None) -> dict[str, Any]:
    """Give what all runs add up to."""
    of_groups = (each.value.alias(each.name) for each in OF_GROUPS)
    return rows_of(runs, kept).group_by(pl.lit(1)).agg(of_groups).row(0, named=True)


def test_waits_are_nearest_ranks_of_those_that_started_and_of_nobody_else() -> None:
    never = ended(3, state=JobState.CANCELLED, start=None)
    resized = ended(4, wait=500, job_start=NOW - 5000)
    waits = rows_of([ended(1, wait=10), ended(2, wait=30), never, resized])["wait_seconds"].to_list()
    group = group_of([ended(1, wait=10), ended(2, wait=30), never, resized])
    assert waits == [10.0, 30.0, None, None]
    assert [group[f"wait_seconds_p{percent}"] for percent in (50, 75, 90, 99)] == [10.0, 30.0, 30.0, 30.0]
    assert (group["elapsed_seconds_p50"], group["elapsed_seconds_p90"]) == (100.0, 100.0)


def test_a_run_that_started_before_it_was_eligible_did_not_wait() -> None:
    assert group_of([ended(wait=-5)])["wait_seconds_p50"] == 0.0


def test_used_of_the_limit_leaves_unlimited_runs_out_and_timeouts_are_a_share_of_all() -> None:
    cut = ended(4, seconds=210, state=JobState.TIMEOUT)
    group = group_of([ended(1, seconds=100), ended(2, seconds=20), ended(3, time_limit_seconds=None), cut])
    assert (group["time_limit_used_ratio_p50"], group["time_limit_used_ratio_p90"]) == (0.5, 1.05)
    assert group["timeouts_ratio"] == 0.25


def test_what_is_known_of_nothing_is_not_known() -> None:
    group = group_of([ended(start=None, time_limit_seconds=None, state=JobState.CANCELLED)])
    known = {name: value for name, value in group.items() if value is not None}
    assert known == {"literal": 1, "timeouts_ratio": 0.0}


def test_efficiency_is_weighted_by_what_was_held_and_says_on_how_much_it_rests() -> None:
    kept = {
        1: {"cpu_efficiency_ratio": 1.0, "wasted_cpu_seconds": 0.0},
        2: {"cpu_efficiency_ratio": 0.5, "wasted_cpu_seconds": 300.0},
    }
    group = group_of([ended(1, seconds=100), ended(2, seconds=300), ended(3, seconds=400)], kept)
    assert (group["cpu_efficiency_ratio"], group["cpu_efficiency_coverage_ratio"]) == (0.625, 0.5)
    assert group["wasted_cpu_seconds_coverage_ratio"] == 0.5
    assert (group["memory_efficiency_ratio"], group["memory_efficiency_coverage_ratio"]) == (None, 0.0)
    assert group["wasted_gpu_seconds_coverage_ratio"] is None, "no GPU was held"


def test_of_a_run_that_was_seen_for_a_part_of_its_time_only_that_part_is_known() -> None:
    group = group_of([ended(1), ended(2)], {1: {"cpu_efficiency_ratio": 1.0, "observed_ratio": 0.5}})
    assert (group["cpu_efficiency_ratio"], group["cpu_efficiency_coverage_ratio"]) == (1.0, 0.25)


def test_days_are_those_of_the_clusters_clock() -> None:
    """Also the day on which clocks are put back, which has 25 hours."""
    ends = [1_793_491_200.0 + hours * 3600 for hours in (3, 4, 28, 29)]  # 2026-11-01T00:00Z and later
    runs = [ended(number, end=end) for number, end in enumerate(ends)]
    assert rows_of(runs)["day"].to_list() == ["2026-11-01", "2026-11-01", "2026-11-02", "2026-11-02"]
    assert rows_of(runs, None, TORONTO)["day"].to_list() == ["2026-10-31", "2026-11-01", "2026-11-01", "2026-11-02"]


@given(st.lists(st.tuples(st.integers(-9, 10**6), st.integers(1, 10**6)), min_size=1, max_size=30))
def test_groups_are_within_what_there_was(drawn: list[tuple[int, int]]) -> None:
    runs = [ended(number, wait, seconds) for number, (wait, seconds) in enumerate(drawn)]
    group = group_of(runs, {run.run_id: {"cpu_efficiency_ratio": 0.5} for run in runs})
    waits = sorted(max(0, wait) for wait, _ in drawn)
    for percent in (50, 75, 90, 99):
        rank = group[f"wait_seconds_p{percent}"]
        below, within = sum(wait < rank for wait in waits), sum(wait <= rank for wait in waits)
        assert below * 100 < percent * len(waits) <= within * 100
    assert group["cpu_efficiency_ratio"] == pytest.approx(0.5)
    assert group["cpu_efficiency_coverage_ratio"] == pytest.approx(1.0)


@given(st.lists(st.floats(NOW, NOW + 366 * 86_400), min_size=1, max_size=9), st.sampled_from([UTC, TORONTO]))
def test_a_day_is_the_one_in_which_it_was(ends: list[float], calendar: Calendar) -> None:
    days = rows_of([ended(number, end=end) for number, end in enumerate(ends)], None, calendar)["day"]
    assert days.to_list() == [calendar.day_of(end).isoformat() for end in ends]
