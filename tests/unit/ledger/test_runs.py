"""Which runs the ledger asks for: those of the snapshot, and those that have ended since."""

from aggregator.ledger.runs import runs_of
from aggregator.model import job_inputs
from aggregator.model.accounting import Run
from tests.builders import NOW, make_allocation, make_run
from tests.clusters import join_cluster


def ends(snapshot: list[Run], *ended: Run) -> dict[int, float | None]:
    runs, _ = runs_of(join_cluster(snapshot)["jobs"], job_inputs.runs_of(ended))
    return dict(runs.select("run_id", "end").rows())


def test_that_a_run_has_ended_is_newer_than_the_snapshot() -> None:
    assert ends([make_run(), make_run(run_id=2, job_id=2)], make_run(end=NOW)) == {101: NOW, 2: None}


def test_of_a_run_that_was_read_twice_the_last_reading_counts() -> None:
    assert ends([], make_run(end=NOW - 60), make_run(end=NOW)) == {101: NOW}


def test_gpus_are_counted_by_type() -> None:
    held = make_run(allocated=make_allocation(gpus={"a100": 2, "": 1}))
    _, gpus = runs_of(join_cluster([held])["jobs"], job_inputs.runs_of([]))
    assert sorted(gpus.select("run_id", "gpu_type", "gpus").rows()) == [(101, "", 1.0), (101, "a100", 2.0)]
