"""Which instances idle, and what a project adds up to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.cloud import RATES, IdleRule
from tests.builders import GIB
from tests.clouds import IDLE, NO_RATES, NOT_LOOKED, Instance, join_cloud, make_cloud_use, make_instance

RULE = IdleRule(duration=86_400.0, cpu_ratio=0.05, network_bytes_per_second=1000.0)
DAY = 86_400.0


def did(cpu: float | None = 0.0, network: float | None = 0.0, coverage: float = 1.0, **changes: Any) -> Instance:
    """Make an instance of 2 vCPUs that used so much of its CPUs (ratio) and of the network (bytes per second)."""
    return make_instance(
        did_cpu_seconds=None if cpu is None else cpu * 2 * DAY,
        did_network_bytes=None if network is None else network * DAY,
        did_coverage=coverage,
        **changes,
    )


def judged(instance: Instance) -> dict[str, Any]:
    (row,) = join_cloud(make_cloud_use(instance), rule=RULE)["instances"].to_dicts()
    return row


def projects(*instances: Instance, members: dict[str, frozenset[str]] | None = None) -> list[dict[str, Any]]:
    return join_cloud(make_cloud_use(*instances), members, rule=RULE)["projects"].to_dicts()


@pytest.mark.parametrize(
    ("cpu", "network", "idle"),
    [(0.0, 0.0, True), (0.049, 999.0, True), (0.05, 0.0, False), (0.0, 1000.0, False), (0.9, 1e6, False)],
)
def test_an_instance_idles_that_uses_neither_its_cpus_nor_the_network(cpu: float, network: float, idle: bool) -> None:
    row = judged(did(cpu, network))
    assert row["idle"] is idle
    assert row["cpu_ratio"] == pytest.approx(cpu)
    assert (row["idle_because"] is not None) is not idle


@pytest.mark.parametrize(
    ("instance", "because"),
    [
        (did(coverage=0.89), "seen for 89% of the time only"),
        (did(cpu=None), "its CPU time is not known"),
        (did(network=None), "its network traffic is not known"),
        (did(**NO_RATES), "its CPU time is not known"),
        (did(vcpus=0.0), "its CPU time is not known"),
        (make_instance(**NOT_LOOKED), "what it did lately has not been read yet"),
    ],
)
def test_no_data_is_not_idle(instance: Instance, because: str) -> None:
    row = judged(instance)
    assert (row["idle"], row["idle_because"]) == (None, because)


def test_an_instance_is_judged_that_was_seen_for_nine_tenths_of_the_time() -> None:
    row = judged(did(coverage=0.9))
    assert (row["idle"], row["idle_because"]) == (True, None)


def test_a_busy_instance_is_not_idle_though_its_traffic_is_unknown() -> None:
    assert judged(did(cpu=0.5, network=None))["idle"] is False


def test_a_project_adds_up_what_is_known_and_says_of_how_much() -> None:
    (sums,) = projects(make_instance(uuid="a"), make_instance(uuid="b", memory_used_bytes=None))
    assert (sums["instances"], sums["vcpus"], sums["memory_bytes"]) == (2, 4.0, 8.0 * GIB)
    assert (sums["memory_used_bytes"], sums["memory_coverage_ratio"]) == (1.0 * GIB, 0.5)


def test_a_project_of_which_nothing_is_known_has_no_sums() -> None:
    (sums,) = projects(make_instance(**NO_RATES, **NOT_LOOKED))
    assert {name: sums[name] for name in RATES} == NO_RATES
    assert sums["judged"] == 0
    unknown = ("idle_instances", "idle_vcpus", "idle_memory_bytes", "memory_coverage_ratio")
    assert [sums[name] for name in unknown] == [None] * 4


def test_idle_instances_are_added_up_apart_and_none_of_the_judged_is_zero() -> None:
    idle, busy = make_instance(uuid="a", **IDLE), make_instance(uuid="b")
    (sums,) = projects(idle, busy)
    assert [sums[name] for name in ("idle_instances", "judged", "idle_vcpus")] == [1, 2, 2.0]
    assert sums["idle_memory_bytes"] == 4.0 * GIB
    (sums,) = projects(busy)
    assert (sums["idle_instances"], sums["idle_vcpus"]) == (0, 0.0)


def test_a_project_with_members_and_no_instance_has_none() -> None:
    (sums,) = projects(members={"p": frozenset({"alice"})})
    assert (sums["project"], sums["instances"], sums["vcpus"]) == ("p", 0, None)


NUMBER = st.none() | st.integers(0, 2**40).map(float)
INSTANCES = st.lists(
    st.fixed_dictionaries(
        {
            "uuid": st.uuids().map(str),
            "project": st.sampled_from(["", "def-kim", 'it"s\n🦙']),
            **dict.fromkeys((*RATES, "did_cpu_seconds", "did_network_bytes"), NUMBER),
            "did_coverage": st.none() | st.floats(0, 1),
        }
    ),
    max_size=12,
    unique_by=lambda each: each["uuid"],
)


@given(INSTANCES)
def test_the_projects_hold_each_instance_once(instances: list[Instance]) -> None:
    found = projects(*instances)
    assert sum(sums["instances"] for sums in found) == len(instances)
    assert [sums["project"] for sums in found] == sorted({each["project"] for each in instances})
    for name in RATES:
        known = [each[name] for each in instances if each[name] is not None]
        sums_of = [sums[name] for sums in found if sums[name] is not None]
        assert sum(sums_of) == sum(known)
        assert bool(sums_of) == bool(known)
    for sums in found:
        assert 0 <= (sums["idle_instances"] or 0) <= sums["judged"] <= sums["instances"]
        assert sums["memory_coverage_ratio"] is None or 0 <= sums["memory_coverage_ratio"] <= 1


def test_hypervisors_are_counted_that_answer_and_that_do_not() -> None:
    frames = join_cloud(make_cloud_use(hypervisors={"hv01": True, "hv02": True, "hv03": False})).frames
    assert frames["hypervisor_states"].rows() == [("up", 2), ("down", 1)]
    assert join_cloud(make_cloud_use()).frames["hypervisor_states"].is_empty()
