"""Lines to change: from which runs, which quantile, and how much on top."""

import math
from typing import Any

import pytest

from aggregator.model.advice import Advice, advise, quantile, slurm_memory, slurm_time

GIB = 2.0**30
FACTS: dict[str, Any] = {
    "run_id": "1", "state": "completed", "granted_cpus": 16, "granted_nodes": 1, "granted_gpus": 0,
    "granted_gpus_by_type": [], "granted_memory_bytes": 64 * GIB, "time_limit_seconds": 86_400.0,
    "elapsed_seconds": 3600.0, "cpu_efficiency_ratio": None, "memory_peak_bytes": None, "wasted_memory_bytes": None,
    "gpu_efficiency_ratio": None, "gpus_busy": None,
}  # fmt: skip


def run(**facts: Any) -> dict[str, Any]:
    return {**FACTS, **facts}


def alike(name: str, *values: float) -> list[dict[str, Any]]:
    return [run(run_id=f"before{number}", **{name: value}) for number, value in enumerate(values)]


def lines(*advised: Advice) -> list[tuple[str, str, str, int]]:
    return [(each.option, each.asked, each.better, each.runs) for each in advised]


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 40, 41])
def test_at_most_one_value_in_twenty_is_above_the_quantile(count: int) -> None:
    values = [float(each) for each in range(count)]
    found = quantile(values[::-1])
    assert found in values
    assert sum(each > found for each in values) == math.floor(0.05 * count + 1e-9)


def test_memory_is_the_quantile_per_node_and_a_fifth_on_top() -> None:
    own = run(memory_peak_bytes=10 * GIB, wasted_memory_bytes=1.0, granted_nodes=2, time_limit_seconds=None)
    before = [{**each, "granted_nodes": 1} for each in alike("memory_peak_bytes", *[7.5 * GIB] * 19, 30 * GIB)]
    (advice,) = advise(own, before, ())
    assert lines(advice) == [("--mem", "32G", "9G", 21)]
    assert (advice.amount, advice.unit) == (7.5 * GIB, "bytes")


def test_memory_within_the_fair_share_or_that_was_too_little_is_left_alone() -> None:
    peak = {"memory_peak_bytes": GIB}
    assert lines(*advise(run(**peak, wasted_memory_bytes=1.0), (), ())) == [("--mem", "64G", "2G", 1)]
    for facts in ({"wasted_memory_bytes": 0.0}, {"wasted_memory_bytes": None}, {"granted_memory_bytes": 0},
                  {"wasted_memory_bytes": 1.0, "state": "out_of_memory"}):  # fmt: skip
        assert advise(run(**peak, **facts), alike("memory_peak_bytes", GIB), ()) == []


def test_less_than_a_fifth_saved_is_no_advice() -> None:
    held = run(wasted_memory_bytes=1.0, granted_memory_bytes=10 * GIB, memory_peak_bytes=7.4 * GIB)
    assert advise(held, (), ()) == []
    assert lines(*advise({**held, "memory_peak_bytes": 6.5 * GIB}, (), ())) == [("--mem", "10G", "8G", 1)]
    assert advise(run(cpu_efficiency_ratio=12.5 / 16), (), ()) == []


@pytest.mark.parametrize(("busy", "better"), [(0.3, "1"), (1.05, "1"), (1.06, "2"), (7.9, "8"), (12.0, "12")])
def test_cpus_are_those_that_were_busy_rounded_up(busy: float, better: str) -> None:
    assert lines(*advise(run(cpu_efficiency_ratio=busy / 16), (), ())) == [("--cpus-per-task", "16", better, 1)]


def test_cpus_of_several_nodes_and_of_jobs_with_gpus_are_left_alone() -> None:
    low = {"cpu_efficiency_ratio": 0.1}
    assert advise(run(**low, granted_nodes=2), (), ()) == []
    assert advise(run(**low, granted_gpus=1), (), ()) == []
    found = ({"resource": "cpu", "field": "cpu_used_ratio"},)
    assert lines(*advise(run(**low, granted_gpus=1), (), found)) == [("--cpus-per-task", "16", "2", 1)]


IDLE = ({"resource": "gpu", "field": "gpu_idle_seconds"},)
PARTLY = ({"resource": "gpu", "field": "gpu_partly_idle_seconds"},)
FOUR = {"granted_gpus": 4, "granted_gpus_by_type": [{"gpu_type": "a100", "count": 4}], "state": "running"}


def test_gpus_are_those_that_were_busy_once_a_rule_has_found_an_idle_one() -> None:
    before = [{**each, "granted_gpus": 4} for each in alike("gpu_efficiency_ratio", 0.3, 0.1)]
    assert lines(*advise(run(**FOUR, gpus_busy=1.0), before, PARTLY)) == [("--gpus", "a100:4", "a100:2", 3)]
    assert lines(*advise(run(**FOUR, gpus_busy=0.0), (), IDLE)) == [("--gpus", "a100:4", "", 1)]
    for busy, found in ((1.0, ()), (4.0, PARTLY), (None, IDLE)):
        assert advise(run(**FOUR, gpus_busy=busy), (), found) == []


def test_gpus_of_several_types_are_counted_without_a_type() -> None:
    types = [{"gpu_type": "a100", "count": 1}, {"gpu_type": "h100", "count": 3}]
    own = run(**{**FOUR, "granted_gpus_by_type": types}, gpus_busy=2.0)
    assert lines(*advise(own, (), PARTLY)) == [("--gpus", "4", "2", 1)]


def test_time_needs_three_whole_runs_and_is_in_quarters_of_an_hour() -> None:
    assert advise(run(), alike("elapsed_seconds", 1800), ()) == []
    assert lines(*advise(run(), alike("elapsed_seconds", 1800, 60), ())) == [("--time", "1-00:00:00", "01:15:00", 3)]
    running = run(state="running", elapsed_seconds=7200.0)
    before = alike("elapsed_seconds", 3600, 3600, 3600)
    assert advise(running, before, ()) == []
    assert lines(*advise({**running, "elapsed_seconds": 60.0}, before, ()))[0][3] == 3
    for facts in ({"time_limit_seconds": None}, {"state": "timeout"}, {"time_limit_seconds": 5000.0}):
        assert advise(run(**facts), before, ()) == []


def test_only_other_runs_that_completed_count() -> None:
    before = [
        *alike("elapsed_seconds", 60, 60), run(run_id="f", state="failed", elapsed_seconds=9.0),
        run(run_id="1", elapsed_seconds=3600.0),
    ]  # fmt: skip
    assert lines(*advise(run(), before, ())) == [("--time", "1-00:00:00", "01:15:00", 3)]
    assert advise(run(state="failed", cpu_efficiency_ratio=0.1), (), ()) == []


def test_what_is_not_known_gives_no_advice() -> None:
    assert (
        advise(run(**dict.fromkeys(("granted_cpus", "granted_nodes", "granted_gpus", "elapsed_seconds"))), (), ()) == []
    )


def test_amounts_are_written_as_sbatch_takes_them() -> None:
    assert [slurm_time(each) for each in (900, 86_399, 86_400, 93_784)] == [
        "00:15:00", "23:59:59", "1-00:00:00", "1-02:03:04",
    ]  # fmt: skip
    assert [slurm_memory(each) for each in (GIB, 1.5 * GIB, 2.0**20)] == ["1G", "1536M", "1M"]
