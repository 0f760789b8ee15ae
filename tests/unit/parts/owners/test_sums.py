"""What users and accounts have is what their jobs have, added up; what is known of no job is not known."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given

from aggregator.engine.frame import Frames
from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import Use
from tests.builders import NOW, make_allocation, make_rule, make_run, make_use
from tests.clusters import join_cluster, make_energy
from tests.unit.parts.jobs.sites import bases, runs, uses
from tests.use import Base, make_bases

# Column of the sums → that of the jobs.
ADDED = {
    "allocated_cpus": "allocated_cpus", "used_cpus": "used_cpus", "used_memory_bytes": "memory_used_bytes",
    "memory_peak_bytes": "memory_peak_bytes", "busy_gpus": "gpus_busy", "wasted_cpus": "wasted_cpus",
    "wasted_memory_bytes": "wasted_memory_bytes", "wasted_gpus": "wasted_gpus",
    "wasted_cpu_seconds": "wasted_cpu_seconds",
}  # fmt: skip
RUNNING = ("running", "suspended")


def rows_of(frames: Frames, table: str, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[key] for key in keys): row for row in frames[table].iter_rows(named=True)}


@given(runs(), uses(), bases())
def test_sums_are_those_of_the_running_jobs(found: list[Run], use: Use, of: dict[int, Base]) -> None:
    frames = join_cluster(found, use, make_bases(of))
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in frames["jobs"].filter("is_open").iter_rows(named=True):
        groups[row["user"], row["account"]].append(row)
        groups[row["account"],].append(row)
    sums = rows_of(frames, "users", "user", "account") | rows_of(frames, "accounts", "account")
    assert sums.keys() == groups.keys()
    for key, jobs in groups.items():
        running = [job for job in jobs if job["state"] in RUNNING and job["start_timestamp_seconds"] is not None]
        for name, column in ADDED.items():
            known = [job[column] for job in running if job[column] is not None]
            nothing = 0.0 if name == "allocated_cpus" and not running else None
            assert sums[key][name] == (pytest.approx(sum(known), rel=1e-9) if known else nothing), name


@given(runs(), uses(), bases())
def test_an_account_is_the_sum_of_its_users(found: list[Run], use: Use, of: dict[int, Base]) -> None:
    frames = join_cluster(found, use, make_bases(of), rules=[make_rule(), make_rule(name="gpus", resource="gpu")])
    for table, own in (("states", "state"), ("gpus", "gpu_type"), ("findings", "reason")):
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for row in frames[f"user_{table}"].iter_rows(named=True):
            counts[row["account"], row[own]] += row["count"]
        assert counts == {key: row["count"] for key, row in rows_of(frames, f"account_{table}", "account", own).items()}


def test_tasks_of_an_array_that_is_not_split_are_counted() -> None:
    waiting = make_run(state=JobState.PENDING, start=None, array_job_id=4711, pending_tasks=100_000)
    frames = join_cluster([waiting, make_run(run_id=2, job_id=2)])
    assert rows_of(frames, "user_states", "state") == {
        ("pending",): {"user": "alice", "account": "def-kim", "state": "pending", "count": 100_000},
        ("running",): {"user": "alice", "account": "def-kim", "state": "running", "count": 1},
    }


def test_coverage_is_weighted_by_what_is_allocated_and_unknown_covers_nothing() -> None:
    runs = [make_run(run_id=1, job_id=1), make_run(run_id=2, job_id=2, allocated=make_allocation(cpus=24))]
    frames = join_cluster(runs, make_use(cpus={1: {"node01": 8.0}}))
    assert frames["accounts"]["cpu_coverage_ratio"].to_list() == [0.25]
    assert frames["accounts"]["gpu_coverage_ratio"].to_list() == [1.0], "of nothing allocated all is covered"


def test_a_group_of_which_nothing_runs_has_nothing_and_no_coverage() -> None:
    frames = join_cluster([make_run(state=JobState.PENDING, start=None)], make_use())
    (row,) = frames["users"].iter_rows(named=True)
    assert (row["allocated_cpus"], row["allocated_memory_bytes"]) == (0.0, 0.0)
    assert row["used_cpus"] is row["cpu_coverage_ratio"] is row["memory_coverage_ratio"] is None


def test_one_that_ended_in_the_last_window_has_its_part_of_the_power() -> None:
    ended = make_run(run_id=2, job_id=2, state=JobState.COMPLETED, end=NOW - 30)
    energy = make_energy({"run_id": 1, "node_watts": 100.0}, {"run_id": 2, "node_watts": 20.0, "gpu_watts": 5.0})
    frames = join_cluster([make_run(run_id=1), ended], make_use(), energy)
    assert frames["users"]["power_watts"].to_list() == [125.0]
    alone = join_cluster([ended], make_use(), energy)
    assert alone["users"].select("power_watts", "allocated_cpus").rows() == [(25.0, 0.0)]
    assert alone["user_states"].is_empty()


def test_memory_that_is_not_managed_is_not_known() -> None:
    frames = join_cluster([make_run(allocated=make_allocation(memory_bytes=None))], make_use())
    assert frames["accounts"]["allocated_memory_bytes"].to_list() == [None]


def test_cpus_of_which_slurmdbd_does_not_say_are_not_0() -> None:
    unsaid, said = make_run(allocated=make_allocation(cpus=0)), make_run(run_id=2, job_id=2)
    for found, cpus in (([unsaid], None), ([unsaid, said], 8.0)):
        frames = join_cluster(found)
        for table in ("users", "accounts", "nodes", "partitions"):
            assert frames[table]["allocated_cpus"].to_list() == [cpus], table


def test_jobs_without_managed_memory_weigh_alike_and_beside_others_nothing() -> None:
    held = make_allocation(memory_bytes=None)
    unmanaged = [make_run(run_id=number, job_id=number, allocated=held) for number in (1, 2)]
    use = make_use(memory_bytes={1: {"node01": 1.0}})
    assert join_cluster(unmanaged, use)["accounts"]["memory_coverage_ratio"].to_list() == [0.5]
    beside = join_cluster([unmanaged[0], make_run(run_id=3, job_id=3)], use)
    assert beside["accounts"]["memory_coverage_ratio"].to_list() == [pytest.approx(0.0, abs=1e-9)]
