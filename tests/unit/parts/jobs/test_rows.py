"""Which run is meant by a job id, in which order jobs come, and what is said of runs alone."""

import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.ledger import LedgerView
from aggregator.parts.jobs.rows import plain_rows, shorten
from tests.builders import NOW, make_allocation, make_run
from tests.clusters import join_cluster, make_energy


def owners(*runs: Run) -> dict[int, int]:
    """Give the run that is meant by each job id."""
    return dict(join_cluster(runs)["jobs"].filter("is_owner").select("job_id", "run_id").rows())


def test_jobs_are_newest_first() -> None:
    runs = make_run(run_id=1, job_id=10), make_run(run_id=3, job_id=9), make_run(run_id=2, job_id=10)
    assert join_cluster(runs)["jobs"].select("job_id", "run_id").rows() == [(10, 2), (10, 1), (9, 3)]


def test_the_open_run_owns_the_id_even_if_an_ended_one_was_submitted_later() -> None:
    assert owners(make_run(run_id=9, submit=NOW, end=NOW), make_run(run_id=1, submit=NOW - 100)) == {4711: 1}


def test_of_ended_runs_the_one_submitted_last_owns_the_id_and_of_those_the_newest_row() -> None:
    assert owners(make_run(run_id=9, submit=1.0, end=NOW), make_run(run_id=1, submit=2.0, end=NOW)) == {4711: 1}
    assert owners(make_run(run_id=2**63), make_run(run_id=2**63 + 1)) == {4711: 2**63 + 1}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.booleans()), max_size=5))
def test_every_id_has_one_owner_whatever_the_order(rows: list[tuple[int, int, bool]]) -> None:
    runs = [
        make_run(run_id=number, job_id=job_id, submit=float(submit), end=None if is_open else NOW)
        for number, (job_id, submit, is_open) in enumerate(rows)
    ]
    chosen = owners(*runs)
    assert chosen.keys() == {run.job_id for run in runs}
    for shuffled in itertools.islice(itertools.permutations(runs), 3):
        assert owners(*shuffled) == chosen


def shown(energy: LedgerView, *runs: Run) -> dict[int, tuple[float | None, float | None]]:
    rows = join_cluster(runs, None, energy)["jobs"].select("run_id", "shown_node_watts", "shown_gpu_watts").rows()
    return {run_id: (node, gpu) for run_id, node, gpu in rows}


def test_the_owner_of_an_id_shows_the_power_of_both_its_runs_and_of_nobody_else() -> None:
    """One that was requeued in the ledger's last window has its part of that window, and no series of its own."""
    energy = make_energy({"run_id": 1, "node_watts": 200.0, "gpu_watts": 50.0}, {"run_id": 2, "node_watts": 30.0})
    former = make_run(run_id=1, submit=1.0, end=NOW)
    stranger = make_run(run_id=1, submit=1.0, end=NOW, user="mallory")
    assert shown(energy, former, make_run(run_id=2))[2] == (230.0, 50.0)
    assert shown(energy, stranger, make_run(run_id=2))[2] == (30.0, None)


def test_runs_alone_keep_their_order_and_have_both_allocations() -> None:
    held, asked = make_allocation(gpus={"a100": 2, "": 1}), make_allocation(cpus=1, gpus={"h100": 1})
    runs = [make_run(run_id=2, job_id=1, allocated=held, requested=asked), make_run(run_id=9, job_id=7)]
    rows = plain_rows(runs_of(runs).runs, NOW).to_dicts()
    assert [row["run_id"] for row in rows] == [2, 9]
    assert rows[0]["granted_gpus_by_type"] == [{"gpu_type": "a100", "count": 2}, {"gpu_type": "", "count": 1}]
    assert (rows[0]["requested_cpus"], rows[0]["requested_gpus_by_type"]) == (1, [{"gpu_type": "h100", "count": 1}])
    assert (rows[1]["granted_gpus_by_type"], rows[1]["elapsed_seconds"]) == ([], 3600.0)
    assert rows[1]["state"] == JobState.RUNNING.name.lower()


def test_only_a_name_that_is_longer_in_bytes_than_may_be_is_cut() -> None:
    names = pl.Series(["abcd", "abcde", "abcé", "", "ab"])
    assert shorten(names, 4).to_list() == ["abcd", "abcd", "abc", "", "ab"]
