"""What slurmctld says through any exporter: names adapted, zeros of failed collectors ignored, wraps put right."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.node_inputs import Scheduler
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusScheduler
from aggregator.sources.prometheus.client import Sample
from aggregator.sources.prometheus.exporters.slurm_exporter import METRICS
from aggregator.sources.prometheus.scheduler import _number
from tests.builders import HOSTILE_NAMES, NOW

from .fake_prometheus import FakePrometheus, vector

GIB = 2.0**30
Given = tuple[str, dict[str, str], str]


def answer(*samples: Given) -> Any:
    return vector(*(({"__name__": name, "instance": "ctl:8080", **labels}, value) for name, labels, value in samples))


async def fetch(
    prometheus: FakePrometheus, client: PrometheusClient, *samples: Given, **changes: Any
) -> tuple[PrometheusScheduler, Scheduler]:
    prometheus.answers["__name__"] = answer(*samples)
    source = PrometheusScheduler(client, {"cluster": "narval"}, ExporterSettings(**changes), NodeNames())
    return source, await source.fetch(NOW)


def counted(found: Scheduler, kind: str) -> dict[str, float]:
    """Give what is counted of a kind, by state."""
    return dict(found.states.select("state", kind).drop_nulls().iter_rows())


def told(found: Scheduler, node: str) -> dict[str, Any]:
    """Give what is said of a node."""
    return nodes(found)[node]


def said(**values: Any) -> dict[str, Any]:
    """Write what is said of a node; a state has flags."""
    return {**({"flags": []} if "state" in values else {}), **values}


def nodes(found: Scheduler) -> dict[str, dict[str, Any]]:
    return _known(found.nodes, "node")


def partitions(found: Scheduler) -> dict[str, dict[str, Any]]:
    return _known(found.partitions, "partition")


def _known(frame: pl.DataFrame, key: str) -> dict[str, dict[str, Any]]:
    rows = [{name: value for name, value in row.items() if value is not None} for row in frame.to_dicts()]
    return {row.pop(key): row for row in rows}


OSC: tuple[Given, ...] = (
    ("slurm_cpus_alloc", {}, "71236"), ("slurm_cpus_idle", {}, "500"), ("slurm_cpus_other", {}, "64"),
    ("slurm_cpus_total", {}, "71800"), ("slurm_gpus_alloc", {}, "3"), ("slurm_gpus_total", {}, "4"),
    ("slurm_node_state_info", {"node": "nc1", "state": "mixed"}, "1"),
    ("slurm_node_state_info", {"node": "ng1", "state": "idle~"}, "1"),
    ("slurm_node_features_info", {"node": "nc1", "features": "skylake,ib"}, "1"),
    ("slurm_queue_pending", {}, "12"), ("slurm_nodes_mix", {}, "7"),
    ("slurm_exporter_collect_error", {"collector": "gpus"}, "0"),
)  # fmt: skip


async def test_the_osc_fork(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    source, found = await fetch(prometheus, client, *OSC)
    assert counted(found, "cpus") == {"allocated": 71236, "idle": 500, "other": 64, "total": 71800}
    assert counted(found, "gpus") == {"allocated": 3, "total": 4}
    assert told(found, "nc1") == said(state="mixed", features="skylake,ib")
    assert told(found, "ng1") == said(state="idle", flags=["powered_down"])
    assert (counted(found, "jobs"), counted(found, "nodes")) == ({"pending": 12}, {"mixed": 1, "idle": 1}), (
        "the nodes' own states"
    )
    assert source.features == {
        "slurm_osc": True, "slurm_vpenso": False, "slurm_newer_exporter": False, "slurm_own_endpoint": False,
    }  # fmt: skip
    assert len(prometheus.queries) == 1, "one query, whichever exporter"
    assert 'cluster="narval"' in prometheus.queries[0]["query"]


async def test_the_older_exporters(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    status = {"node": "nc1", "status": "drng*"}
    _, found = await fetch(
        prometheus, client, ("slurm_node_cpu_total", status, "64"), ("slurm_node_cpu_alloc", status, "32"),
        ("slurm_node_mem_total", status, "1024"), ("slurm_node_mem_alloc", status, "512"),
        ("slurm_cpus_alloc", {}, "32"),
    )  # fmt: skip
    assert told(found, "nc1") == said(
        state="draining", flags=["not_responding"], cpus=64, cpus_allocated=32, memory_bytes=GIB,
        memory_allocated_bytes=GIB / 2,
    )  # fmt: skip
    assert counted(found, "cpus") == {"allocated": 32, "total": 64}


async def test_the_newer_exporters(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    _, found = await fetch(
        prometheus, client, ("slurm_cpus_total", {}, "36"), ("slurm_cpus_idle", {}, "30"),
        *(
            (f"slurm_account_job_state_{kind}", {"account": account, "state": state}, value)
            for account, state, cpus, jobs in (
                ("a", "RUNNING", "4", "1"), ("b", "RUNNING", "2", "2"), ("b", "PENDING", "300003", "6"),
            )
            for kind, value in (("cpu_alloc", cpus), ("total", jobs))
        ),
        ("slurm_node_count_per_state", {"state": "mixed"}, "2"),
        ("slurm_partition_alloc_cpus", {"partition": "gpu", "state": "mixed"}, "5"),
        ("slurm_partition_alloc_cpus", {"partition": "gpu", "state": "draining"}, "1"),
    )  # fmt: skip
    assert counted(found, "cpus") == {"allocated": 6, "idle": 30, "total": 36}
    assert counted(found, "jobs") == {"running": 3, "pending": 6}
    assert (counted(found, "nodes"), partitions(found)) == ({"mixed": 2}, {"gpu": {"cpus_allocated": 6}})


def own(cpus: int, told: int, nodes: int = 2) -> tuple[Given, ...]:
    per_node = [
        sample
        for number in range(nodes)
        for sample in (
            ("slurm_node_cpus", {"node": f"n{number}"}, "50000"),
            ("slurm_node_cpus_alloc", {"node": f"n{number}"}, str(cpus)),
            ("slurm_node_memory_bytes", {"node": f"n{number}"}, "8e9"),
        )
    ]
    return (*per_node, ("slurm_jobs_cpus_alloc", {}, str(told)), ("slurm_jobs_running", {}, "5"))


async def test_slurmctlds_own_endpoint(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    source, found = await fetch(prometheus, client, *own(100, 200))
    assert told(found, "n0") == said(cpus=50000, cpus_allocated=100, memory_bytes=8e9)
    assert counted(found, "cpus") == {"allocated": 200, "total": 100_000}
    assert (counted(found, "jobs"), found.repairs, source.features["slurm_own_endpoint"]) == ({"running": 5}, (), True)


async def test_a_sum_that_has_wrapped_is_put_right_from_the_nodes_and_said(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    _, found = await fetch(prometheus, client, *own(40_000, 80_000 - 65_536))
    assert counted(found, "cpus")["allocated"] == 80_000
    assert found.rejected == {"slurm_jobs_cpus_alloc wrapped": 1}
    assert found.repairs == ("slurm_jobs_cpus_alloc says 14464 CPUs, for it counts in 16 bits; the nodes say 80000",)


@pytest.mark.parametrize(("cpus", "used"), [("1000", {"allocated": 7}), ("70000", {})])
async def test_a_sum_without_nodes_is_used_only_where_it_cannot_have_wrapped(
    prometheus: FakePrometheus, client: PrometheusClient, cpus: str, used: dict[str, float]
) -> None:
    _, found = await fetch(
        prometheus, client, ("slurm_jobs_cpus_alloc", {}, "7"), ("slurm_partition_cpus", {"partition": "p"}, cpus),
        ("slurm_partition_nodes_cpus_alloc", {"partition": "p"}, "7"),
    )  # fmt: skip
    assert counted(found, "cpus") == used
    assert ("cpus_allocated" in partitions(found)["p"]) is bool(used)
    assert bool(found.rejected) is not bool(used)


async def test_nodes_that_power_down_are_not_shown_as_powering_up(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    endpoint = ("slurm_nodes_powering_up", {}, "9")
    _, alone = await fetch(prometheus, client, endpoint)
    assert counted(alone, "nodes") == {"powering_down": 9}
    assert alone.repairs == ("slurm_nodes_powering_up says 9, which are the nodes that power down",)
    states = [("slurm_node_state_info", {"node": "n1", "state": "idle#"}, "1")]
    _, both = await fetch(prometheus, client, endpoint, *states)
    assert counted(both, "nodes") == {"idle": 1}, "each node once, by its state"
    assert both.repairs[0].endswith("by their states 1 power up")
    _, better = await fetch(prometheus, client, endpoint, ("slurm_nodes_powering_down", {}, "4"))
    assert (counted(better, "nodes"), better.repairs) == ({"powering_up": 9, "powering_down": 4}, ())


@pytest.mark.parametrize("failure", ["slurm_exporter_collect_error", "slurm_exporter_collect_timeout"])
async def test_the_zeros_of_a_collector_that_failed_are_no_values(
    prometheus: FakePrometheus, client: PrometheusClient, failure: str
) -> None:
    zeros = [(name, labels, "0" if name.startswith("slurm_cpus") else value) for name, labels, value in OSC]
    _, found = await fetch(prometheus, client, *zeros, (failure, {"collector": "cpus"}, "1"))
    assert (counted(found, "cpus"), counted(found, "gpus")["allocated"]) == ({}, 3)
    assert found.rejected == {"collector cpus failed": 4}


async def test_two_exporters_and_two_replicas_tell_a_thing_once(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    replica = [(name, {**labels, "instance": "ctl2:8080"}, value) for name, labels, value in OSC]
    _, found = await fetch(
        prometheus, client, *OSC, *replica, ("slurm_nodes_mixed", {}, "7"), ("slurm_jobs_pending", {}, "12")
    )
    _, once = await fetch(prometheus, client, *OSC)
    assert (counted(found, "cpus"), nodes(found), counted(found, "nodes"), counted(found, "jobs")) == (
        counted(once, "cpus"), nodes(once), counted(once, "nodes"), counted(once, "jobs"),
    )  # fmt: skip


async def test_a_node_that_is_shown_in_two_states_is_in_the_worse_one(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    both = [("slurm_node_state_info", {"node": "n1", "state": state}, "1") for state in ("idle", "down*", "mixed")]
    assert told((await fetch(prometheus, client, *both))[1], "n1")["state"] == "down"


async def test_other_names_of_the_site_and_hostile_ones(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    _, found = await fetch(
        prometheus, client, *(("my_states", {"host": name, "state": "idle"}, "1") for name in HOSTILE_NAMES),
        metrics={"slurm_node_state_info": "my_states"}, labels={"node": "host"},
    )  # fmt: skip
    assert nodes(found).keys() == {NodeNames().normalize(name) for name in HOSTILE_NAMES}


async def test_nothing_told_is_not_believed(client: PrometheusClient) -> None:
    with pytest.raises(NoSamples, match="no sample of any node, job or CPU"):
        await PrometheusScheduler(client, {}, ExporterSettings(), NodeNames()).fetch(NOW)


async def test_a_query_that_fails_is_a_source_that_fails(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers["__name__"] = {"status": "error", "errorType": "timeout", "error": "too slow"}
    with pytest.raises(FetchError, match="too slow"):
        await PrometheusScheduler(client, {}, ExporterSettings(), NodeNames()).fetch(NOW)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(METRICS),
            st.dictionaries(st.sampled_from(["node", "partition", "state", "collector"]), st.text(max_size=4)),
            st.one_of(st.floats().map(str), st.text(max_size=3), st.sampled_from(["+Inf", "NaN", "-1", "65536"])),
        ),
        max_size=30,
    )
)
def test_no_page_makes_a_number_that_is_none(samples: list[Given]) -> None:
    """Whatever an exporter prints: no negative, infinite or invented number."""
    source = PrometheusScheduler(PrometheusClient.__new__(PrometheusClient), {}, ExporterSettings(), NodeNames())
    told = [Sample({"__name__": name, **labels}, (NOW, value)) for name, labels, value in samples]
    found = source.read(NOW, told)
    numbers = [number for kind in ("cpus", "gpus", "jobs", "nodes") for number in counted(found, kind).values()]
    assert all(0 <= number < float("inf") for number in numbers)
    assert not numbers or any(_number(value) is not None for _, _, value in samples)


async def test_what_is_told_once_for_each_partition_counts_once(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """SckyzO's exporter: n1 is in two partitions."""
    places = (("n1", "cpu"), ("n1", "largemem"), ("n2", "cpu"))
    samples: list[Given] = []
    for node, partition in places:
        of_node = {"node": node, "partition": partition, "status": "idle"}
        samples += [(f"slurm_node_cpu_{what}", of_node, "32") for what in ("total", "idle")]
        samples.append(("slurm_node_status", of_node, "1"))
        samples.append(("slurm_node_gres_total", {**of_node, "gres_type": "gpu:a100"}, "4"))
        samples += [("slurm_node_gres_used", {**of_node, "gres_type": kind}, "3") for kind in ("gpu:a100", "shard")]
    for partition in ("cpu", "largemem"):
        samples.append(("slurm_nodes_idle", {"partition": partition, "active_feature_set": "null"}, "2"))
        samples.append(("slurm_partition_gpus_idle", {"partition": partition}, "5"))
    for user in ("ann", "ben"):
        samples.append(("slurm_queue_pending", {"partition": "cpu", "user": user, "reason": "Priority"}, "3"))
    _, found = await fetch(prometheus, client, *samples)
    assert (counted(found, "nodes"), counted(found, "jobs"), found.rejected) == ({"idle": 2}, {"pending": 6}, {})
    assert (counted(found, "cpus"), counted(found, "gpus")) == ({"idle": 64, "total": 64}, {"allocated": 6, "total": 8})
    assert told(found, "n1") == said(state="idle", cpus=32, cpus_idle=32, gpus=4, gpus_allocated=3)
    assert partitions(found)["cpu"] == {"gpus_idle": 5}
    without = [sample for sample in samples if not sample[0].startswith("slurm_node_")]
    _, unknown = await fetch(prometheus, client, *without)
    assert (counted(unknown, "nodes"), unknown.rejected) == ({}, {"slurm_nodes_idle by partition": 1})


async def test_a_cluster_has_not_fewer_gpus_than_one_of_its_partitions(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """osc reads no GPUs without a type, and only the last type of a node."""
    gpus = [("slurm_gpus_alloc", {}, "0"), ("slurm_gpus_total", {}, "4")]
    _, wrong = await fetch(prometheus, client, *gpus, ("slurm_partition_gpus_total", {"partition": "gpu"}, "8"))
    assert counted(wrong, "gpus") == {}
    assert wrong.repairs == ("slurm_gpus_total says 4 GPUs; partitions or nodes say 8",)
    _, right = await fetch(prometheus, client, *gpus, ("slurm_partition_gpus_total", {"partition": "gpu"}, "4"))
    assert (counted(right, "gpus"), right.repairs) == ({"allocated": 0, "total": 4}, ())


async def test_features_that_are_none_are_not_shown(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    _, found = await fetch(
        prometheus, client, ("slurm_node_features_info", {"node": "n1", "features": "(null)"}, "1"),
        ("slurm_node_features_info", {"node": "n2", "features": "ib"}, "1"),
        *(("slurm_node_state_info", {"node": node, "state": "idle"}, "1") for node in ("n1", "n2")),
    )  # fmt: skip
    assert [told(found, node).get("features") for node in ("n1", "n2")] == [None, "ib"]


async def test_nobody_tells_of_gpus(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    """vpenso's without -gpus-acct: not known, never 0."""
    status = {"node": "n1", "status": "mixed"}
    _, found = await fetch(
        prometheus, client, ("slurm_node_cpu_total", status, "64"), ("slurm_cpus_alloc", {}, "3"),
        ("slurm_partition_cpus_total", {"partition": "cpu"}, "64"),
    )  # fmt: skip
    assert (counted(found, "gpus"), told(found, "n1").get("gpus")) == ({}, None)
    assert partitions(found) == {"cpu": {"cpus": 64}}


async def test_a_node_has_one_name_however_it_is_told(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    _, found = await fetch(
        prometheus, client, ("slurm_node_state_info", {"node": "N1.Cluster.Example", "state": "MIXED+DRAIN"}, "1"),
        ("slurm_node_cpus", {"node": "n1"}, "64"),
    )  # fmt: skip
    assert nodes(found) == {"n1": said(state="draining", cpus=64)}
