"""For how long runs have run and what they hold, as expressions: by rule, and as the run itself says."""

import polars as pl
import pytest
from hypothesis import given

from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import runs_of
from aggregator.parts.jobs.time import ALLOCATED_CPUS, elapsed, limited_seconds
from tests.builders import NOW, make_allocation, make_run
from tests.unit.parts.jobs.sites import runs


def of(run: Run, value: pl.Expr) -> float | None:
    found: float | None = runs_of([run]).runs.select(value).item()
    return found


@given(runs())
def test_time_is_as_the_run_itself_says(found: list[Run]) -> None:
    for run in found:
        for at in (NOW - 3000, NOW):
            assert of(run, elapsed(pl.lit(at))) == pytest.approx(run.elapsed(at))


def test_suspensions_are_no_elapsed_time() -> None:
    over = make_run(suspended_seconds=600.0)
    assert of(over, elapsed(pl.lit(NOW))) == 3000.0
    suspended = make_run(state=JobState.SUSPENDED, suspended_since=NOW - 900)
    assert of(suspended, elapsed(pl.lit(NOW))) == 2700.0


def test_the_time_before_a_resize_counts_against_the_limit_and_is_not_the_runs() -> None:
    resized = make_run(start=NOW - 600, job_start=NOW - 3600)
    assert (of(resized, elapsed(pl.lit(NOW))), of(resized, limited_seconds(pl.lit(NOW)))) == (600.0, 3600.0)


@pytest.mark.parametrize(
    ("state", "cpus", "held"),
    [(JobState.RUNNING, 8, 8), (JobState.SUSPENDED, 8, 0), (JobState.RUNNING, 0, None), (JobState.SUSPENDED, 0, None)],
)
def test_a_suspended_run_holds_no_cpus_and_one_without_any_is_not_known(
    state: JobState, cpus: int, held: int | None
) -> None:
    assert of(make_run(state=state, allocated=make_allocation(cpus=cpus)), ALLOCATED_CPUS) == held
