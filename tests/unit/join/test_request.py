"""What a job could ask for instead: never less than most of the runs have used, and only where that is known."""

import math
from dataclasses import replace
from typing import Any

import pytest

from aggregator.join.directives import changes, slurm_memory, slurm_time
from aggregator.join.request import Enough, Held, Used, Wanted, busy_gpus, quantile, wanted
from aggregator.model.series import Line

GIB = 2.0**30
HELD = Held(cpus=16, memory=64 * GIB, gpus=0, nodes=1, time_limit=86_400.0)
WITH_GPUS = replace(HELD, gpus=4, gpu_type="a100")
SCRIPT = """#!/bin/bash
#SBATCH --gpus=a100:4
#SBATCH -c 16
#SBATCH --mem=64G   # a comment
#SBATCH --time=24:00:00
srun train --cpus-per-task=99
"""


def runs(count: int, **used: Any) -> list[Used]:
    return [Used(**used) for _ in range(count)]


def better(**amounts: float) -> Wanted:
    return Wanted(**{name: Enough(amount, "", 1) for name, amount in amounts.items()})  # type: ignore[arg-type]


def lines(script: str, held: Held, wanted: Wanted) -> list[tuple[str, str, str]]:
    return [(each.option, each.old, each.new) for each in changes(script, held, wanted)]


ALL = better(cpus=8, memory=20 * GIB, gpus=2, seconds=21_600.0)


def test_the_lines_of_the_script_are_named_with_their_old_values() -> None:
    assert lines(SCRIPT, WITH_GPUS, ALL) == [
        ("--gpus", "a100:4", "a100:2"), ("--cpus-per-task", "16", "8"), ("--mem", "64G", "20G"),
        ("--time", "24:00:00", "06:00:00"),
    ]  # fmt: skip


def test_without_a_script_the_old_values_are_what_slurm_has_given() -> None:
    assert lines("", WITH_GPUS, ALL) == [
        ("--gpus", "a100:4", "a100:2"), ("--cpus-per-task", "16", "8"), ("--mem", "64G", "20G"),
        ("--time", "1-00:00:00", "06:00:00"),
    ]  # fmt: skip
    assert lines("", replace(WITH_GPUS, gpu_type=""), better(gpus=0)) == [("--gpus", "4", "")]


@pytest.mark.parametrize(
    ("line", "wanted", "changed"),
    [
        ("--gres=gpu:h100:4", better(gpus=1), ("--gres", "gpu:h100:4", "gpu:h100:1")),
        ("--gres=gpu:4", better(gpus=0), ("--gres", "gpu:4", "")),
        ("-n 16", better(cpus=4), ("--ntasks", "16", "4")),
        ("--mem-per-cpu=4G", better(memory=16 * GIB), ("--mem-per-cpu", "4G", "1G")),
        ("--mem-per-gpu=16G", better(memory=16 * GIB), ("--mem-per-gpu", "16G", "4G")),
        ("--mem-per-gpu=16G", better(memory=16 * GIB, gpus=0), ("--mem-per-gpu", "16G", "4G")),
    ],
)
def test_each_way_to_ask_is_changed_in_its_own_terms(line: str, wanted: Wanted, changed: tuple[str, str, str]) -> None:
    assert lines(f"#SBATCH {line}\n", WITH_GPUS, wanted)[-1] == changed


def test_cpus_of_several_nodes_are_only_changed_where_the_script_says_how_it_asks() -> None:
    two = replace(HELD, nodes=2)
    assert lines("", two, better(cpus=8)) == []
    assert lines("#SBATCH --ntasks-per-node=8\n", two, better(cpus=8)) == [("--ntasks-per-node", "8", "4")]


def test_what_is_wanted_is_enough_for_most_runs_with_a_margin() -> None:
    used = [*runs(19, cpus=4.0, memory=10 * GIB, seconds=3600.0), Used(cpus=15.0, memory=60 * GIB)]
    found = wanted(HELD, used)
    assert (found.cpus, found.memory, found.seconds) == (
        Enough(4, "Fewer CPUs have been busy on average.", 20, 4.0),
        Enough(12 * GIB, "Less memory has been used.", 20, 10 * GIB),
        Enough(4500.0, "Runs of this name have ended long before the limit.", 19, 3600.0),
    )
    assert (found.runs, found.fitted) == (20, 19)


def test_memory_is_of_a_node() -> None:
    found = wanted(replace(HELD, nodes=2), runs(5, memory=10 * GIB))
    assert found.memory
    assert found.memory.amount == 12 * GIB
    assert lines("", replace(HELD, nodes=2), found) == [("--mem", "32G", "12G")]


@pytest.mark.parametrize(("busy", "enough"), [(0.3, 1), (1.05, 1), (1.06, 2), (7.9, 8), (12.0, 12)])
def test_cpus_are_those_that_were_busy_rounded_up(busy: float, enough: int) -> None:
    found = wanted(HELD, runs(5, cpus=busy)).cpus
    assert found
    assert found.amount == enough


def test_little_to_gain_is_no_advice_and_of_few_runs_it_takes_more() -> None:
    assert not wanted(HELD, runs(20, cpus=15.0, memory=60 * GIB))
    assert wanted(HELD, runs(20, cpus=10.0)).cpus
    assert wanted(HELD, runs(1, cpus=10.0)).cpus is None
    assert wanted(HELD, runs(1, cpus=2.0)).cpus


def test_cpus_beside_gpus_are_only_given_back_where_a_rule_has_found_them() -> None:
    assert not wanted(WITH_GPUS, runs(5, cpus=1.0))
    assert wanted(replace(WITH_GPUS, has_idle_cpus=True), runs(5, cpus=1.0)).cpus


def test_memory_within_the_fair_share_is_left_alone() -> None:
    assert not wanted(replace(HELD, is_memory_fair=True), runs(5, memory=GIB))


def test_a_run_that_had_too_little_memory_asks_for_more() -> None:
    short = Used(memory=64 * GIB, out_of_memory=True)
    found = wanted(replace(HELD, is_memory_fair=True), [*runs(5, memory=60 * GIB), short])
    assert found.memory == Enough(
        96 * GIB, "A run has ended because its memory was not enough.", 1, None, is_quantile=False
    )
    assert wanted(HELD, [Used(out_of_memory=True)]).memory == found.memory


def test_a_run_that_had_less_memory_than_this_one_only_says_that_it_was_not_enough() -> None:
    found = wanted(HELD, [*runs(5, memory=10 * GIB), Used(memory=16 * GIB, out_of_memory=True)])
    assert found.memory
    assert found.memory.amount == 20 * GIB


def test_a_time_rests_on_several_runs_that_came_to_their_own_end() -> None:
    assert wanted(HELD, runs(2, seconds=60.0)).seconds is None
    assert wanted(HELD, runs(3, seconds=60.0)).seconds
    assert wanted(replace(HELD, is_timed_out=True), runs(3, seconds=60.0)).seconds is None
    assert wanted(replace(HELD, time_limit=None), runs(3, seconds=60.0)).seconds is None


def test_a_time_is_not_less_than_the_run_has_run() -> None:
    assert wanted(replace(HELD, elapsed=900.0), runs(3, seconds=60.0)).seconds
    assert wanted(replace(HELD, elapsed=901.0), runs(3, seconds=60.0)).seconds is None


def test_of_what_nobody_has_measured_nothing_is_said() -> None:
    assert not wanted(HELD, [])
    assert (wanted(HELD, runs(5)).runs, wanted(HELD, runs(5)).fitted) == (0, 0)
    assert not wanted(replace(HELD, memory=None), runs(5, memory=GIB))
    assert changes(SCRIPT, HELD, Wanted()) == []


def test_only_gpus_that_neither_this_run_nor_an_earlier_one_used_are_given_back() -> None:
    def gpus(busy: int | None, *used: Used) -> Enough | None:
        return wanted(WITH_GPUS, used, busy).gpus

    assert gpus(2) == Enough(2, "Fewer GPUs have been used.", 1, 2.0, is_quantile=False)
    assert gpus(1, Used(gpus=1.2), Used(gpus=0.4)) == Enough(2, "Fewer GPUs have been used.", 2, 1.2, is_quantile=False)
    assert gpus(4) is gpus(None) is gpus(1, Used(gpus=3.5)) is None


def test_a_gpu_counts_as_used_that_ever_was() -> None:
    def line(*values: float) -> Line:
        return Line({}, tuple(enumerate(values)))

    assert busy_gpus([line(0.0, 0.9, 0.0), line(0.0, 0.01), line()]) == 1


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 40, 41])
def test_at_most_one_value_in_twenty_is_above_the_quantile(count: int) -> None:
    values = [float(each) for each in range(count)]
    found = quantile(values[::-1])
    assert found in values
    assert sum(each > found for each in values) == math.floor(0.05 * count + 1e-9)


def test_amounts_are_written_as_sbatch_takes_them() -> None:
    assert [slurm_time(each) for each in (900, 86_399, 86_400, 93_784)] == [
        "00:15:00", "23:59:59", "1-00:00:00", "1-02:03:04",
    ]  # fmt: skip
    assert [slurm_memory(each) for each in (GIB, 1.5 * GIB, 2.0**20)] == ["1G", "1536M", "1M"]
