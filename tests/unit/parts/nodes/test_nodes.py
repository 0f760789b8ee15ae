"""What is on each node, and why something is not seen: three causes that are never mixed up."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.part import Inputs
from aggregator.model.accounting import JobState, Run
from aggregator.model.node import EXPLANATIONS
from aggregator.model.node_inputs import Scheduler, by_state
from tests.builders import GIB, HOSTILE_NAMES, NOW, make_allocation, make_gpu, make_run, make_use
from tests.unit.parts.nodes.site import LAYOUT, by_name, join, said

RUNS = st.lists(
    st.builds(
        lambda number, nodes, cpus, gpus: make_run(
            run_id=number, job_id=number, nodes=tuple(nodes), allocated=make_allocation(cpus=cpus, gpus={"a100": gpus})
        ),
        st.integers(1, 10_000),
        st.lists(st.sampled_from(["n1", "n2", "n3", *HOSTILE_NAMES]), min_size=1, max_size=5),
        st.integers(0, 4096),
        st.integers(0, 64),
    ),
    max_size=20,
    unique_by=lambda run: run.run_id,
)


@given(RUNS)
def test_the_nodes_add_up_to_what_the_runs_hold(runs: list[Run]) -> None:
    frames, held = join(*runs), [run.allocated for run in runs]
    nodes, gpus = frames["nodes"], frames["node_gpus"].filter(pl.col("gpu_type") == "a100")
    assert nodes["allocated_cpus"].sum() == pytest.approx(sum(each.cpus for each in held))
    assert nodes["allocated_memory_bytes"].sum() == pytest.approx(sum(each.memory_bytes or 0 for each in held))
    assert gpus["count"].sum() == pytest.approx(sum(each.gpus["a100"] for each in held))
    assert frames["node_runs"]["allocated_cpus"].sum() == pytest.approx(nodes["allocated_cpus"].sum())


def test_a_run_of_several_nodes_is_spread_evenly_and_that_is_said() -> None:
    nodes = by_name(make_run(nodes=("n1", "n2"), allocated=make_allocation(cpus=9)), make_run(run_id=2, nodes=("n1",)))
    held = [nodes["n1"][f"allocated_{what}"] for what in ("cpus", "memory_bytes", "estimated")]
    assert held == [12.5, 96 * GIB, True]
    assert nodes["n2"]["allocated_estimated"]
    assert not by_name(make_run(nodes=("n1",)))["n1"]["allocated_estimated"]


def test_a_run_that_is_not_on_its_nodes_holds_nothing() -> None:
    assert by_name(make_run(state=JobState.PENDING, start=None), make_run(end=NOW, state=JobState.COMPLETED)) == {}


def test_memory_that_slurm_does_not_manage_is_not_known_and_a_node_without_jobs_holds_none() -> None:
    nodes = by_name(make_run(nodes=("n1",), allocated=make_allocation(memory_bytes=None)), listed=("n1", "n2"))
    assert [nodes[name]["allocated_memory_bytes"] for name in ("n1", "n2")] == [None, 0.0]


def test_nodes_without_jobs_are_there_when_anybody_lists_them() -> None:
    scheduler = Scheduler(time=NOW, nodes=said(n9={"state": "idle"}))
    assert by_name(listed=("n1",), scheduler=scheduler).keys() == {"n1", "n9"}
    assert by_name(use=make_use()).keys() == {"node01", "node02"}, "else the targets of slurm-job-exporter"


def test_a_host_that_is_no_compute_node_is_shown_as_such_and_has_no_jobs() -> None:
    load = {"load1": {"login1": 3.0, "storage1": 9.0}}
    nodes = by_name(
        make_run(nodes=("login1",)), hosts=load, kinds={"login1": "login"}, listed=("n1", "login1"), use=make_use()
    )
    assert nodes.keys() == {"n1", "login1"}, "a target that nobody lists is none of the cluster's nodes"
    login = nodes["login1"]
    assert (login["kind"], login["load"], login["jobs"], login["exporter_up"]) == ("login", 3.0, None, None)


def test_slurmctlds_size_of_a_node_comes_before_that_of_its_host() -> None:
    scheduler = Scheduler(time=NOW, nodes=said(n1={"cpus": 64.0}, n2={}))
    hosts = {"cpus": {"n1": 62.0, "n2": 62.0}, "resting_cpus": {"n1": 60.0, "n2": 70.0}}
    nodes = by_name(scheduler=scheduler, hosts=hosts)
    assert [(node["cpus"], node["busy_cpus"]) for node in nodes.values()] == [(64.0, 2.0), (62.0, 0.0)]


def test_what_a_host_uses_is_known_where_both_parts_are() -> None:
    nodes = by_name(listed=("n1",), hosts={"memory_total_bytes": {"n1": 8.0}, "scratch_available_bytes": {"n1": 1.0}})
    assert (nodes["n1"]["memory_used_bytes"], nodes["n1"]["scratch_used_bytes"]) == (None, None)


def test_without_slurmacct_there_is_only_what_slurmctld_says_of_the_cluster() -> None:
    states = by_state({"cpus": {"allocated": 3.0, "total": 4.0}, "nodes": {"mixed": 1.0}})
    joined = LAYOUT.join(Inputs(Scheduler(time=NOW, nodes=said(n1={"state": "mixed"}), states=states)), NOW)
    assert joined.frames["nodes"].is_empty()
    assert joined.frames["slurmctld"].select("cpus", "gpus").rows() == [(4.0, None)]
    assert joined.frames["slurmctld_states"].rows() == [
        ("allocated", 3.0, None, None, None), ("mixed", None, None, 1.0, None),
    ]  # fmt: skip


def test_a_state_and_its_flags_are_rows_each_once() -> None:
    words = {"state": "mixed", "flags": ["planned", "mixed"]}
    frames = join(scheduler=Scheduler(time=NOW, nodes=said(n1=words, n2={"cpus": 8.0})))
    assert frames["node_states"].rows() == [("n1", "mixed"), ("n1", "planned")]


SEEN = {4711: {"node01": 1.0}}


@pytest.mark.parametrize(
    ("changes", "jobs", "cause"),
    [
        ({"memory_bytes": SEEN}, 1, None),
        ({"memory_bytes": {}, "cpus": SEEN}, 1, None),
        ({"healthy_nodes": frozenset({"node02"})}, 2, "exporter_down"),
        ({"memory_bytes": SEEN}, 2, "no_process"),
        ({}, 1, "no_process"),
        ({}, 2, "exporter_blind"),
        ({"healthy_nodes": frozenset()}, 2, "unknown"),
        ({"healthy_nodes": None}, 2, "unknown"),
        ({"memory_bytes": None}, 2, None),
    ],
)
def test_why_jobs_are_not_seen(changes: dict[str, object], jobs: int, cause: str | None) -> None:
    """Down, or no process of this job, or blind for the whole node: and nothing where the input itself is missing."""
    runs = [make_run(run_id=number, job_id=4711 + number) for number in range(jobs)]
    node = by_name(*runs, use=make_use(**changes))["node01"]
    assert node["cause"] == cause
    assert cause is None or EXPLANATIONS[node["cause"]]
    assert bool(node["exporter_blind"]) is (cause == "exporter_blind")


@given(RUNS, st.booleans(), st.sets(st.sampled_from(["n1", "n2", "n3"])), st.sets(st.integers(1, 10_000)))
def test_nothing_is_missed_that_is_seen_and_every_miss_has_a_cause(
    runs: list[Run], readable: bool, healthy: set[str], seen: set[int]
) -> None:
    """Whatever is scraped when: series of other nodes, of jobs that are not there, of half of a job's nodes."""
    series = {job_id: {"n1": 1.0, "elsewhere": 2.0} for job_id in seen}
    frames = join(*runs, use=make_use(memory_bytes=series if readable else None, healthy_nodes=frozenset(healthy)))
    for node in frames["nodes"].iter_rows(named=True):
        assert (node["unobserved_jobs"] is None) is not readable
        assert (node["unobserved_jobs"] or 0) <= node["jobs"]
        assert bool(node["unobserved_jobs"]) is (node["cause"] is not None)
    missed = frames["node_runs"].filter(~pl.col("observed"), pl.col("node") == "n1")
    assert seen.isdisjoint(missed["job_id"])


def test_several_young_jobs_do_not_make_an_exporter_blind() -> None:
    runs = [make_run(run_id=number, job_id=number, start=NOW - 200) for number in (1, 2)]
    node = by_name(*runs, use=make_use())["node01"]
    assert (node["cause"], node["unobserved_jobs"], node["exporter_blind"]) == ("no_process", 2, False)


@pytest.mark.parametrize(("seconds", "is_blind"), [(299, False), (300, True)])
def test_an_exporter_is_blind_that_does_not_show_several_jobs_of_five_minutes(seconds: int, is_blind: bool) -> None:
    runs = [make_run(run_id=number, job_id=number, start=NOW - seconds) for number in (1, 2)]
    assert by_name(*runs, use=make_use())["node01"]["exporter_blind"] is is_blind


@pytest.mark.parametrize(("seconds", "missed"), [(59, 0), (60, 1)])
def test_a_job_is_not_missed_before_its_second_scrape(seconds: int, missed: int) -> None:
    node = by_name(make_run(start=NOW - seconds), use=make_use())["node01"]
    assert (node["unobserved_jobs"], node["cause"]) == (missed, "no_process" if missed else None)
    assert node["exporter_up"] is True


def test_a_node_whose_exporter_shows_no_gpu_of_a_job_shows_0() -> None:
    assert by_name(make_run(), use=make_use(gpus={}))["node01"]["observed_gpus"] == 0


def test_without_prometheus_nothing_is_said_to_be_unobserved() -> None:
    node = by_name(make_run())["node01"]
    assert (node["unobserved_jobs"], node["exporter_up"], node["observed_gpus"]) == (None, None, None)


def test_gpus_with_series_are_counted_and_no_utilisation_is_not_zero() -> None:
    gpus = {1: (make_gpu(), make_gpu(index="1", utilization=None)), 2: (make_gpu(utilization=None, node="node02"),)}
    nodes = by_name(use=make_use(gpus=gpus))
    assert [(node["observed_gpus"], node["used_gpus"]) for node in nodes.values()] == [(2, 0.5), (1, None)]


def test_a_pending_job_is_in_all_partitions_that_it_names_and_an_array_counts_its_tasks() -> None:
    pending = make_run(run_id=2, state=JobState.PENDING, start=None, partition="cpu,gpu", pending_tasks=5)
    ended = make_run(run_id=3, state=JobState.COMPLETED, end=NOW)
    frames = join(make_run(), pending, ended)
    assert frames["partition_states"].rows() == [("cpu", "pending", 5), ("cpu", "running", 1), ("gpu", "pending", 5)]
    held = frames["partitions"].select("partition", "allocated_cpus", "allocated_memory_bytes").rows()
    assert held == [("cpu", 8, 64 * GIB), ("gpu", 0, 0)]


def test_a_suspended_job_holds_memory_and_gpus_of_its_partition_and_no_cpus() -> None:
    held = make_allocation(gpus={"a100": 2})
    frames = join(make_run(state=JobState.SUSPENDED, allocated=held))
    assert frames["partitions"].select("allocated_cpus", "allocated_memory_bytes").rows() == [(0, 64 * GIB)]
    assert frames["partition_gpus"].rows() == [("cpu", "a100", 2)]
