"""Gauges of jobs are those of the run that holds the job's id and node; what nobody shows is not 0."""

from typing import Any

import polars as pl
import pytest

from aggregator.engine.part import Inputs, Layout
from aggregator.model.accounting import JobState, Run
from aggregator.model.job_gauges import JobGauges, NodesOfJobs, OverNodes
from aggregator.model.job_inputs import NODE_VALUES, runs_of
from aggregator.parts import gauges, jobs
from aggregator.sources.prometheus.exporter import newest
from tests.builders import NOW, make_run

GAUGE = newest("open_files", "io_job_open_files", help="Files.", of="io-job-exporter", unit="files")
LAYOUT = Layout("cluster", (jobs.PART, gauges.part_of(GAUGE.columns)))


def of_runs(
    *runs: Run, shown: list[tuple[int, str, float]], over_nodes: OverNodes = "sum", since: float = NOW - 120
) -> dict[int, tuple[Any, Any]]:
    """Join; give value and coverage by run id."""
    frame = pl.DataFrame(shown, schema=NODE_VALUES, orient="row")
    found = JobGauges({"open_files": NodesOfJobs(frame, since, over_nodes)})
    joined = LAYOUT.join(Inputs(runs_of(runs), found), NOW)
    assert not joined.failed
    rows = joined.frames["jobs"].select("run_id", "open_files", "open_files_coverage_ratio").iter_rows()
    return {run_id: (number, coverage) for run_id, number, coverage in rows}


def test_the_nodes_of_a_run_are_added_up_or_the_largest_counts() -> None:
    run, shown = make_run(nodes=("n1", "n2")), [(4711, "n1", 2.0), (4711, "n2", 5.0), (4711, "n3", 100.0)]
    assert of_runs(run, shown=shown) == {101: (7.0, 1.0)}
    assert of_runs(run, shown=shown, over_nodes="max") == {101: (5.0, 1.0)}
    assert of_runs(run, shown=shown, over_nodes="mean") == {101: (3.5, 1.0)}


def test_a_value_says_on_which_share_of_the_nodes_it_rests() -> None:
    assert of_runs(make_run(nodes=("n1", "n2", "n3", "n4")), shown=[(4711, "n3", 2.0)]) == {101: (2.0, 0.25)}


def test_what_is_not_shown_is_not_0() -> None:
    assert of_runs(make_run(), make_run(run_id=102, job_id=4712), shown=[(4712, "node01", 0.0)]) == {
        101: (None, None), 102: (0.0, 1.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, 3.0),
        ({"start": NOW - 121}, 3.0),
        # The sample may be of the run before.
        ({"start": NOW - 119}, None),
        ({"state": JobState.SUSPENDED}, 3.0),
        ({"state": JobState.PENDING, "start": None}, None),
        ({"state": JobState.COMPLETED, "end": NOW - 1}, None),
        ({"nodes": ()}, None),
    ],
)
def test_only_a_run_that_holds_its_node_for_long_enough_has_a_value(
    changes: dict[str, Any], value: float | None
) -> None:
    assert of_runs(make_run(**changes), shown=[(4711, "node01", 3.0)])[101][0] == value


def test_a_requeued_job_has_the_gauge_of_its_run_of_now() -> None:
    ended = make_run(state=JobState.NODE_FAIL, end=NOW - 1800)
    found = of_runs(ended, make_run(run_id=102, start=NOW - 1700), shown=[(4711, "node01", 3.0)])
    assert found == {101: (None, None), 102: (3.0, 1.0)}


def test_a_gauge_that_could_not_be_read_is_null() -> None:
    joined = LAYOUT.join(Inputs(runs_of([make_run()]), JobGauges({}, failed={"open_files": "down"})), NOW)
    assert (joined.failed, joined.frames["jobs"]["open_files"].to_list()) == ({}, [None])
