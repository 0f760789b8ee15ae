"""What a job could ask for instead: never less than most of the runs have used, and only where that is known."""

import pytest

from aggregator.join.request import Change, Held, Used, Wanted, changes, wanted
from aggregator.model.advice import quantile

GIB = 2**30
HELD = Held(cpus=16, memory=64.0 * GIB, gpus=4, nodes=1, time_limit=86_400.0)
SCRIPT = """#!/bin/bash
#SBATCH --gpus=a100:4
#SBATCH -c 16
#SBATCH --mem=64G   # a comment
#SBATCH --time=24:00:00
srun train --cpus-per-task=99
"""


def runs(count: int, **used: float) -> list[Used]:
    return [Used(**used) for _ in range(count)]  # type: ignore[arg-type]


def test_the_lines_of_the_script_are_named_with_their_old_values() -> None:
    better = Wanted(cpus=8, memory=20.0 * GIB, gpus=2, seconds=21_600.0, runs=25, fitted=24)
    assert changes(SCRIPT, HELD, better) == [
        Change("--gpus=", "a100:4", "a100:2"), Change("--cpus-per-task=", "16", "8"),
        Change("--mem=", "64G", "20G"), Change("--time=", "24:00:00", "06:00:00"),
    ]  # fmt: skip


def test_without_a_script_the_lines_are_new_ones() -> None:
    better = Wanted(cpus=8, memory=20.0 * GIB, gpus=2, seconds=90_000.0)
    assert changes("", HELD, better) == [
        Change("--gpus=", "", "2"), Change("--cpus-per-task=", "", "8"), Change("--mem=", "", "20G"),
        Change("--time=", "", "1-01:00:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "better", "changed"),
    [
        ("--gres=gpu:h100:4", Wanted(gpus=1), Change("--gres=", "gpu:h100:4", "gpu:h100:1")),
        ("--gres=gpu:4", Wanted(gpus=0), Change("--gres=", "gpu:4", "")),
        ("-n 16", Wanted(cpus=4), Change("--ntasks=", "16", "4")),
        ("--mem-per-cpu=4G", Wanted(memory=16.0 * GIB), Change("--mem-per-cpu=", "4G", "1G")),
        ("--mem-per-gpu=16G", Wanted(memory=16.0 * GIB), Change("--mem-per-gpu=", "16G", "4G")),
    ],
)
def test_each_way_to_ask_is_changed_in_its_own_terms(line: str, better: Wanted, changed: Change) -> None:
    assert changes(f"#SBATCH {line}\n", HELD, better) == [changed]


def test_what_is_wanted_is_enough_for_most_runs_with_a_margin() -> None:
    better = wanted(HELD, [*runs(19, cpus=4.0, memory=10.0 * GIB, seconds=3600.0), Used(cpus=15.0, memory=60.0 * GIB)])
    assert (better.cpus, better.memory, better.seconds) == (5, 12.0 * GIB, 4500.0)
    assert (better.runs, better.fitted) == (20, 19)


def test_little_to_gain_is_no_advice_and_of_few_runs_it_takes_more() -> None:
    assert not wanted(HELD, runs(20, cpus=15.0, memory=60.0 * GIB))
    assert wanted(HELD, runs(20, cpus=10.0)).cpus == 11
    assert wanted(HELD, runs(1, cpus=10.0)).cpus is None
    assert wanted(HELD, runs(1, cpus=2.0)).cpus == 3


def test_a_run_that_was_out_of_memory_asks_for_more() -> None:
    found = wanted(HELD, [*runs(5, memory=60.0 * GIB), Used(out_of_memory=True)])
    assert found.memory == 96.0 * GIB


def test_a_time_rests_on_several_runs_that_came_to_their_own_end() -> None:
    assert wanted(HELD, runs(2, seconds=60.0)).seconds is None
    assert wanted(HELD, runs(3, seconds=60.0)).seconds == 900.0


def test_of_what_nobody_has_measured_nothing_is_said() -> None:
    assert not wanted(HELD, [])
    assert not wanted(HELD, runs(5))
    assert changes(SCRIPT, HELD, Wanted()) == []


def test_only_gpus_that_were_never_used_are_given_back() -> None:
    assert wanted(HELD, [], gpus=2).gpus == 2
    assert wanted(HELD, [], gpus=4).gpus is None
    assert wanted(HELD, [], gpus=None).gpus is None


def test_the_quantile_is_a_value_that_a_run_had() -> None:
    assert quantile([3.0]) == 3.0
    assert quantile([float(each) for each in range(1, 101)]) == 95.0
