from collections.abc import Sequence

from aggregator.model.accounting import Run
from aggregator.model.job_inputs import Use, runs_of
from aggregator.parts.nodes.agreement import Agreement
from aggregator.parts.nodes.agreement import compare_gpus as compare
from tests.builders import NOW, make_allocation, make_gpu, make_run, make_use

GPUS = {4711: (make_gpu(),)}


def compare_gpus(runs: Sequence[Run], use: Use | None) -> Agreement:
    return compare(runs_of(runs).runs, use)


def test_gpus_of_a_run_that_holds_some_agree() -> None:
    holds = make_run(allocated=make_allocation(gpus={"": 1}))
    assert compare_gpus([holds], make_use(gpus=GPUS)).agrees is True


def test_gpus_of_a_run_that_holds_none_are_a_contradiction() -> None:
    found = compare_gpus([make_run()], make_use(gpus=GPUS))
    assert found.agrees is False
    assert "AccountingStorageTRES" in found.warning
    holds = make_run(run_id=2, job_id=2, allocated=make_allocation(gpus={"": 1}))
    assert "AccountingStorageTRES" not in compare_gpus([make_run(), holds], make_use(gpus=GPUS)).warning


def test_nothing_is_concluded_from_young_runs_other_nodes_and_missing_inputs() -> None:
    for run, use in (
        (make_run(start=NOW - 60), make_use(gpus=GPUS)),
        (make_run(nodes=("node02",)), make_use(gpus=GPUS)),
        (make_run(end=NOW), make_use(gpus=GPUS)),
        (make_run(), make_use(gpus=None)),
        (make_run(), None),
    ):
        assert compare_gpus([run], use) == Agreement(tracked=False) or use is None or use.gpus is None
        assert compare_gpus([run], use).agrees is None


def test_a_gpu_on_any_node_is_that_of_a_run_whose_nodes_are_not_known() -> None:
    assert compare_gpus([make_run(nodes=())], make_use(gpus=GPUS)) == Agreement(shown=1, without=1, tracked=False)


def test_a_run_is_compared_once_what_was_there_before_it_is_gone() -> None:
    """After four scrapes of 30 s."""
    assert compare_gpus([make_run(start=NOW - 119)], make_use(gpus=GPUS)).agrees is None
    assert compare_gpus([make_run(start=NOW - 120)], make_use(gpus=GPUS)).agrees is False
