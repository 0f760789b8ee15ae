"""How much of what a run holds it uses, and what is wasted, as columns."""

from random import Random
from typing import Any

import pytest

from aggregator.parts.energy.columns import WASTED_GPU_SECONDS
from aggregator.parts.jobs.efficiency import EFFICIENCY, FairShare, with_efficiency
from tests.builders import GIB
from tests.unit.parts.waste.runs import random_jobs
from tests.unit.parts.waste.scene import RUN, make_jobs


def known(column: str, **changes: Any) -> Any:
    """Give a column of a run of 3600 s with 8 CPUs and 64 GiB; counters tell of all of it."""
    return make_jobs({"observed_seconds": 3600.0, **changes})[column].item()


@pytest.mark.parametrize(
    ("seconds", "ratio"), [(3600.0 * 2, 0.25), (0.0, 0.0), (36_000.0 * 8, 10.0), (36_001.0 * 8, None), (None, None)]
)
def test_cpu_efficiency_is_cpu_time_used_per_cpu_time_held(seconds: float | None, ratio: float | None) -> None:
    """Where more than ten times of it is used, Slurm does not manage CPUs."""
    assert known("cpu_efficiency_ratio", cpu_seconds=seconds) == ratio


def test_suspensions_are_no_time_held() -> None:
    changes = {"suspended_seconds": 1800.0, "elapsed_seconds": 1800.0}
    assert known("cpu_efficiency_ratio", cpu_seconds=1800.0 * 8, **changes) == 1.0


@pytest.mark.parametrize(("held", "ratio"), [(64 * GIB, 0.25), (None, None), (0, None), (GIB, None)])
def test_memory_efficiency_is_the_peak_per_memory_held(held: int | None, ratio: float | None) -> None:
    assert known("memory_efficiency_ratio", memory_peak_bytes=16.0 * GIB, granted_memory_bytes=held) == ratio


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 0.5), ({"time_limit_seconds": None}, None), ({"elapsed_seconds": None}, None),
        ({"job_start": RUN["start_timestamp_seconds"], "start_timestamp_seconds": None}, None),
        ({"job_start": RUN["start_timestamp_seconds"] - 1800.0}, 0.75),
    ],
)  # fmt: skip
def test_time_limit_used_is_what_the_job_has_run_per_limit(changes: dict[str, Any], ratio: float | None) -> None:
    assert known("time_limit_used_ratio", **changes) == ratio


@pytest.mark.parametrize(
    ("changes", "wasted"),
    [
        ({}, 6.0),
        ({"used_cpus": 9.0}, 0.0),
        ({"cpu_coverage_ratio": 0.8, "used_cpus": 1.0}, 0.8 * 8 - 1),
        ({"cpu_coverage_ratio": 0.79}, None),
        ({"cpu_coverage_ratio": None}, None),
        ({"used_cpus": None}, None),
        ({"allocated_cpus": None}, None),
        ({"allocated_cpus": 0.0, "state": "suspended"}, 0.0),
    ],
)
def test_wasted_cpus_are_held_and_not_busy_on_the_nodes_that_were_seen(changes: dict[str, Any], wasted: Any) -> None:
    assert known("wasted_cpus", **{"used_cpus": 2.0, "cpu_coverage_ratio": 1.0, **changes}) == wasted


@pytest.mark.parametrize(
    ("changes", "wasted"),
    [
        ({"granted_cpus": 16, "granted_memory_bytes": 70 * GIB}, 0.0),
        ({"granted_cpus": 1}, (64 - 4.4) * GIB),
        ({"granted_cpus": 1, "memory_peak_bytes": 60.0 * GIB}, 4.0 * GIB),
        ({"granted_cpus": 1, "granted_memory_bytes": 128 * GIB, "granted_gpus": 1}, 0.0),
        ({"granted_cpus": 64, "granted_memory_bytes": 300 * GIB, "granted_gpus": 2}, 18.4 * GIB),
        ({"memory_peak_bytes": None}, None),
        ({"granted_memory_bytes": None}, None),
    ],
)
def test_memory_above_both_the_fair_share_and_the_peak_is_wasted(changes: dict[str, Any], wasted: Any) -> None:
    assert known("wasted_memory_bytes", **{"memory_peak_bytes": 1.0, **changes}) == pytest.approx(wasted)


@pytest.mark.parametrize(
    ("changes", "wasted"),
    [
        ({}, 1.5),
        ({"gpu_utilization_ratio": 1.005}, 0.0),
        ({"gpu_coverage_ratio": 0.8}, 1.5),
        ({"gpu_coverage_ratio": 0.79}, None),
        ({"gpu_utilization_ratio": None}, None),
        ({"state": "suspended"}, None),
    ],
)
def test_wasted_gpus_are_those_that_the_run_could_have_used(changes: dict[str, Any], wasted: Any) -> None:
    gpus = {"gpu_coverage_ratio": 1.0, "gpus_judged": 2.0, "gpu_utilization_ratio": 0.25}
    assert known("wasted_gpus", **{**gpus, **changes}) == wasted


@pytest.mark.parametrize(
    ("changes", "wasted"),
    [
        ({}, 3600.0 * 6),
        ({"cpu_seconds": 3600.0 * 9}, 0.0),
        ({"cpu_seconds": None}, None),
        ({"granted_cpus": 0}, None),
    ],
)
def test_wasted_cpu_time_is_held_and_not_used_since_the_start(changes: dict[str, Any], wasted: Any) -> None:
    assert known("wasted_cpu_seconds", **{"cpu_seconds": 3600.0 * 2, **changes}) == wasted


@pytest.mark.parametrize(
    ("observed", "ratio", "wasted"),
    [(1800.0, 1.0, 0.0), (1799.0, None, None), (7200.0, 0.5, 14_400.0), (None, None, None)],
)
def test_old_use_is_compared_with_the_time_that_it_is_of(observed: float, ratio: float, wasted: float) -> None:
    """Of a run of which less than half was seen nothing is said."""
    seen = {"cpu_seconds": 1800.0 * 8, "memory_peak_bytes": 1.0, "observed_seconds": observed}
    assert (known("cpu_efficiency_ratio", **seen), known("wasted_cpu_seconds", **seen)) == (ratio, wasted)
    assert (known("memory_efficiency_ratio", **seen) is None) == (ratio is None)
    assert (known("observed_ratio", **seen) is None) == (ratio is None)


@pytest.mark.parametrize(("seconds", "used", "wasted"), [(3600.0, 1800.0, 1800.0), (3600.0, 3601.0, 0.0),
                                                         (0.0, 0.0, None), (None, None, None)])  # fmt: skip
def test_wasted_gpu_time_is_what_the_ledger_saw_unused(seconds: float, used: float, wasted: float) -> None:
    ledger = {"ledger_gpu_seconds": seconds, "ledger_gpu_used_seconds": used}
    assert known("wasted_gpu_seconds", **ledger) == wasted


def test_every_column_is_declared_and_computed() -> None:
    names = {column.name for column in EFFICIENCY}
    assert names <= {*with_efficiency(make_jobs({}).drop(names), FairShare()).columns}


def test_no_number_is_ever_negative() -> None:
    jobs = random_jobs(Random(7), 1000)
    for column in (*EFFICIENCY, WASTED_GPU_SECONDS):
        values = jobs[column.name].drop_nulls()
        assert len(values) > 100, column
        assert (values >= 0).all(), column


def test_of_a_run_that_has_not_started_nothing_is_computed() -> None:
    pending = {"state": "pending", "start_timestamp_seconds": None, "elapsed_seconds": 0.0, "allocated_cpus": None}
    jobs = make_jobs(pending)
    assert jobs.select(column.name for column in EFFICIENCY).row(0) == (None,) * len(EFFICIENCY)
