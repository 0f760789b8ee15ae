"""Which GPUs of a run are seen, and what is said of the others."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import Run
from aggregator.parts.jobs.gpus import GPU_USE
from tests.builders import GIB, make_allocation, make_gpu, make_run, make_use
from tests.clusters import join_cluster
from tests.use import Gpu

FOUR_GPUS = make_run(allocated=make_allocation(gpus={"a100": 4}))
TWO_NODES = make_run(nodes=("node01", "node02"), allocated=make_allocation(nodes=2, gpus={"a100": 8}))


class Found(NamedTuple):
    """What is known of the use of a run's GPUs."""

    coverage: float | None
    observed: float | None
    busy: float | None
    judged: float | None
    utilization: float | None
    memory: float | None


def gpu_use(run: Run, *gpus: Gpu, **inputs: object) -> Found:
    jobs = join_cluster([run], make_use(**{"gpus": {4711: gpus}, **inputs}))["jobs"]
    return Found(*jobs.select(name for name in GPU_USE if name != "run_id").row(0))


NOT_SEEN = Found(0.0, None, None, 0.0, None, None)
NOTHING = Found(*[None] * 6)


def node_of_gpus(node: str, *utilizations: float | None) -> list[Gpu]:
    return [make_gpu(node=node, index=str(index), utilization=value) for index, value in enumerate(utilizations)]


def test_observed_gpus_are_judged() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node01", 1.0, 0.5, 0.0, 0.5))
    assert found == Found(1.0, 4, 3, 4.0, 0.5, 40.0 * GIB)


def test_a_gpu_without_a_series_on_a_healthy_node_is_idle() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node01", 1.0))
    assert (found.observed, found.busy, found.judged, found.utilization) == (1, 1, 4.0, 0.25)
    assert found.coverage == 1.0


def test_no_series_at_all_on_a_healthy_node_is_zero_observed() -> None:
    found = gpu_use(FOUR_GPUS, gpus={})
    assert found == Found(1.0, 0, 0, 4.0, 0.0, None)


def test_no_series_while_the_exporter_is_down_is_not_judged() -> None:
    found = gpu_use(FOUR_GPUS, healthy_nodes=frozenset({"node09"}))
    assert found == NOT_SEEN
    assert found.observed is None


def test_no_series_while_the_health_of_nodes_is_unknown_is_not_judged() -> None:
    assert gpu_use(FOUR_GPUS, healthy_nodes=None) == NOT_SEEN


def test_a_node_that_shows_gpus_is_healthy_enough() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node01", 1.0), healthy_nodes=frozenset())
    assert (found.judged, found.utilization) == (4.0, 0.25)


def test_a_blank_utilisation_is_observed_and_not_judged() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node01", None, 0.5, None, 0.5))
    assert (found.observed, found.busy, found.judged, found.coverage) == (4, 2, 2.0, 0.5)
    assert found.utilization == 0.5


def test_only_blank_utilisations_judge_nothing() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node01", None, None, None, None))
    assert (found.observed, found.busy, found.utilization, found.coverage) == (4, None, None, 0.0)


def test_a_run_that_is_partly_visible_is_judged_on_that_part() -> None:
    found = gpu_use(TWO_NODES, *node_of_gpus("node01", 0.5, 0.5, 0.5, 0.5), healthy_nodes=frozenset({"node01"}))
    assert (found.judged, found.utilization, found.coverage) == (4.0, 0.5, 0.5)


def test_invisible_gpus_of_the_visible_part_are_idle() -> None:
    found = gpu_use(TWO_NODES, *node_of_gpus("node01", 1.0), healthy_nodes=frozenset({"node01"}))
    assert (found.judged, found.utilization, found.coverage) == (4.0, 0.25, 0.5)


def test_a_gpu_of_another_runs_node_is_not_the_runs() -> None:
    found = gpu_use(FOUR_GPUS, *node_of_gpus("node02", 1.0, 1.0))
    assert found.observed == 0


def test_mig_slices_are_gpus_of_their_own() -> None:
    run = make_run(allocated=make_allocation(gpus={"a100_3g.20gb": 2}))
    slices = (make_gpu(index="MIG-1", utilization=0.5), make_gpu(index="MIG-2", utilization=None))
    found = gpu_use(run, *slices)
    assert (found.observed, found.judged, found.coverage, found.memory) == (2, 1.0, 0.5, 20.0 * GIB)


def test_mig_slices_that_show_only_memory_are_not_idle() -> None:
    """MIG has no utilisation in NVML: it must not look like an idle GPU."""
    run = make_run(allocated=make_allocation(gpus={"a100_3g.20gb": 1}))
    found = gpu_use(run, make_gpu(index="MIG-1", utilization=None))
    assert (found.busy, found.utilization) == (None, None)


def test_a_gpu_input_that_failed_says_nothing() -> None:
    assert gpu_use(FOUR_GPUS, gpus=None) == NOTHING


def test_a_run_without_gpus_has_no_gpu_use() -> None:
    assert gpu_use(make_run(), make_gpu()) == NOTHING


def test_a_run_whose_nodes_are_unknown_is_judged_on_what_is_seen() -> None:
    run = make_run(nodes=(), allocated=make_allocation(gpus={"": 2}))
    found = gpu_use(run, make_gpu(node="node33", utilization=1.0))
    assert (found.judged, found.coverage, found.utilization) == (1.0, 0.5, 1.0)


def test_memory_that_no_gpu_shows_is_not_known() -> None:
    found = gpu_use(FOUR_GPUS, make_gpu(memory_bytes=None))
    assert found.memory is None


@pytest.mark.parametrize("seen", [2, 4, 8])
def test_a_job_that_sees_more_gpus_than_it_holds_wastes_no_more_than_it_holds(seen: int) -> None:
    """Without ConstrainDevices `nvidia-smi -L` in the job's cgroup lists every GPU of the node."""
    run = make_run(allocated=make_allocation(gpus={"a100": 1}))
    use = make_use(gpus={4711: node_of_gpus("node01", *[0.0] * seen)})
    jobs = join_cluster([run], use)["jobs"]
    assert jobs.select("gpu_coverage_ratio", "wasted_gpus").row(0) == (1.0, 1.0)


UTILIZATION = st.none() | st.floats(0, 1.005)


@given(st.lists(UTILIZATION, max_size=8), st.sets(st.sampled_from(["node01", "node02"])), st.integers(1, 8))
def test_whatever_is_seen_the_numbers_stay_in_their_ranges(
    values: list[float | None], healthy: set[str], allocated: int
) -> None:
    run = make_run(nodes=("node01", "node02"), allocated=make_allocation(nodes=2, gpus={"": allocated}))
    gpus = [make_gpu(node=f"node0{i % 2 + 1}", index=str(i), utilization=value) for i, value in enumerate(values)]
    found = gpu_use(run, *gpus, healthy_nodes=frozenset(healthy))
    assert found.coverage is not None
    assert 0.0 <= found.coverage <= 1.0
    if found.utilization is not None:
        assert 0.0 <= found.utilization <= 1.005 + 1e-9
        assert found.busy is not None
        assert found.observed is not None
        assert 0 <= found.busy <= found.observed
