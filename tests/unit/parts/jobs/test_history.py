"""What many ended runs add up to."""

import math
from collections.abc import Mapping, Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.history import Known, RunsSummary
from aggregator.model.job_inputs import runs_of
from aggregator.parts.jobs.history import summarize
from aggregator.parts.jobs.kept import KEPT
from tests.builders import NOW, make_allocation, make_run


def ended(run_id: int = 1, wait: float = 10.0, seconds: float = 100.0, **changes: object) -> Run:
    return make_run(**{
        "run_id": run_id, "state": JobState.COMPLETED, "eligible": NOW - 1000 - wait, "start": NOW - 1000,
        "end": NOW - 1000 + seconds, "time_limit_seconds": 200.0, "allocated": make_allocation(cpus=2), **changes,
    })  # fmt: skip


def summary_of(runs: Sequence[Run], kept: Mapping[int, Mapping[str, float]] | None = None) -> RunsSummary:
    rows = [{"run_id": run_id, **row} for run_id, row in (kept or {}).items()]
    return summarize(runs_of(runs).runs, pl.DataFrame(rows, schema=KEPT))


def test_nothing_adds_up_to_nothing_known() -> None:
    summary = summary_of([])
    assert (summary.runs, summary.states, summary.wait_seconds, summary.time_limit_used) == (0, {}, {}, {})
    assert (summary.cpu_efficiency, summary.wasted_gpu_seconds) == (None, None)


def test_runs_are_counted_by_state_and_waits_are_of_those_that_started() -> None:
    never = ended(3, state=JobState.CANCELLED, start=None)
    summary = summary_of([ended(1, wait=10), ended(2, wait=30), never])
    assert summary.states == {"completed": 2, "cancelled": 1}
    assert (summary.started, summary.wait_seconds[0.5], summary.wait_seconds[0.99]) == (2, 10, 30)


def test_a_run_that_started_before_it_was_eligible_did_not_wait() -> None:
    assert summary_of([ended(wait=-5)]).wait_seconds[0.5] == 0.0


def test_used_of_the_limit_is_cumulative_and_leaves_unlimited_runs_out() -> None:
    runs = [ended(1, seconds=100), ended(2, seconds=210), ended(3, time_limit_seconds=None), ended(4, seconds=900)]
    counts = summary_of(runs).time_limit_used
    assert (counts[0.25], counts[0.5], counts[1.0], counts[1.1], counts[math.inf]) == (0, 1, 1, 2, 3)


def test_efficiency_is_weighted_by_what_was_held_and_says_on_how_much_it_rests() -> None:
    kept = {
        1: {"cpu_efficiency_ratio": 1.0, "wasted_cpu_seconds": 0.0},
        2: {"cpu_efficiency_ratio": 0.5, "wasted_cpu_seconds": 300.0},
    }
    summary = summary_of([ended(1, seconds=100), ended(2, seconds=300), ended(3, seconds=400)], kept)
    assert summary.cpu_efficiency == Known(0.625, 0.5)
    assert summary.wasted_cpu_seconds == Known(300.0, 0.5)
    assert summary.memory_efficiency is None
    assert summary.wasted_gpu_seconds is None


def test_of_a_run_that_was_seen_for_a_part_of_its_time_only_that_part_is_known() -> None:
    summary = summary_of([ended(1), ended(2)], {1: {"cpu_efficiency_ratio": 1.0, "observed_ratio": 0.5}})
    assert summary.cpu_efficiency == Known(1.0, 0.25)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)), min_size=1, max_size=30))
def test_summaries_are_within_what_there_was(drawn: list[tuple[int, int]]) -> None:
    runs = [ended(number, wait, seconds) for number, (wait, seconds) in enumerate(drawn)]
    kept = {run.run_id: {"cpu_efficiency_ratio": 0.5} for run in runs}
    summary = summary_of(runs, kept)
    waits = list(summary.wait_seconds.values())
    assert waits == sorted(waits)
    assert max(waits) <= max(wait for wait, _ in drawn)
    assert sum(summary.states.values()) == summary.runs == summary.time_limit_used[math.inf] == len(drawn)
    assert summary.cpu_efficiency is not None
    assert summary.cpu_efficiency.value == pytest.approx(0.5)
    assert summary.cpu_efficiency.coverage == pytest.approx(1.0)
