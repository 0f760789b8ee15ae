"""What is kept of runs that have ended, and what is said of them with it."""

from typing import Any

import polars as pl

from aggregator.model.accounting import JobState, Run
from aggregator.parts.jobs.kept import KEPT, to_keep, with_kept
from tests.builders import NOW, make_run, make_use
from tests.clusters import join_cluster

USED = make_use(cpus={4711: {"node01": 2.0}})


def ended(**changes: Any) -> Run:
    return make_run(**{"end": NOW - 60, "state": JobState.COMPLETED, **changes})


def keep(jobs: pl.DataFrame) -> list[int]:
    return to_keep(jobs)["run_id"].to_list()


def test_open_runs_and_runs_of_unknown_use_are_not_kept() -> None:
    jobs = join_cluster([make_run(run_id=1), ended(run_id=2, job_id=5)], USED)["jobs"]
    assert keep(jobs) == []
    # Zero is a use.
    assert keep(jobs.with_columns(running_threads=0.0)) == [2]


def test_of_what_is_kept_all_is_there() -> None:
    jobs = join_cluster([ended()])["jobs"].with_columns(used_cpus=2.0)
    kept = to_keep(jobs)
    assert set(KEPT) <= set(kept.columns)
    assert kept.select("user", "end_timestamp_seconds", "used_cpus").row(0) == ("alice", NOW - 60, 2.0)


def test_the_efficiency_of_an_ended_run_is_the_one_that_was_kept_also_where_it_was_not_known() -> None:
    jobs = join_cluster([ended()])["jobs"]
    kept = pl.DataFrame([{"run_id": 101, "cpu_efficiency_ratio": 0.9}], schema=KEPT)
    row = with_kept(jobs, kept).row(0, named=True)
    assert (row["cpu_efficiency_ratio"], row["time_limit_used_ratio"]) == (0.9, None)


def test_of_a_run_of_which_nothing_was_kept_the_share_of_its_limit_is_known_once_it_has_ended() -> None:
    jobs = join_cluster([ended(start=NOW - 3660), make_run(run_id=2, job_id=5)])["jobs"]
    rows = with_kept(jobs, pl.DataFrame(schema=KEPT)).sort("run_id")
    assert rows["time_limit_used_ratio"].to_list() == [None, 0.5]
