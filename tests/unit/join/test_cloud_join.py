"""Which instances idle, and what a project adds up to."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.cloud import add_up_project, join_cloud, judge_idle
from aggregator.model.cloud import Activity, CloudUse, IdleRule, Instance, Rates
from tests.builders import GIB, IDLE_ACTIVITY, NOW, make_instance

RULE = IdleRule(duration=86_400.0, cpu_ratio=0.05, network_bytes_per_second=1000.0)
DAY = 86_400.0


def did(cpu: float | None = 0.0, network: float | None = 0.0, coverage: float = 1.0) -> Instance:
    """Make an instance of 2 vCPUs that used so much of its CPUs (ratio) and of the network (bytes per second)."""
    return make_instance(
        activity=Activity(
            cpu_seconds=None if cpu is None else cpu * 2 * DAY,
            network_bytes=None if network is None else network * DAY,
            coverage=coverage,
        )
    )


@pytest.mark.parametrize(
    ("cpu", "network", "idle"),
    [(0.0, 0.0, True), (0.049, 999.0, True), (0.05, 0.0, False), (0.0, 1000.0, False), (0.9, 1e6, False)],
)
def test_an_instance_idles_that_uses_neither_its_cpus_nor_the_network(cpu: float, network: float, idle: bool) -> None:
    judged = judge_idle(did(cpu, network), RULE)
    assert judged.idle is idle
    assert judged.cpu_ratio == pytest.approx(cpu)
    assert bool(judged.because) is not idle


@pytest.mark.parametrize(
    ("instance", "because"),
    [
        (did(coverage=0.89), "seen for 89% of the time only"),
        (did(cpu=None), "its CPU time is not known"),
        (did(network=None), "its network traffic is not known"),
        (replace(did(), rates=Rates()), "its CPU time is not known"),
        (make_instance(activity=None), "what it did lately has not been read yet"),
    ],
)
def test_no_data_is_not_idle(instance: Instance, because: str) -> None:
    judged = judge_idle(instance, RULE)
    assert (judged.idle, judged.because) == (None, because)


def test_a_busy_instance_is_not_idle_though_its_traffic_is_unknown() -> None:
    assert judge_idle(did(cpu=0.5, network=None), RULE).idle is False


def test_a_project_adds_up_what_is_known_and_says_of_how_much() -> None:
    silent = make_instance(uuid="b", rates=replace(make_instance().rates, memory_used_bytes=None))
    sums = add_up_project("p", [make_instance(uuid="a"), silent])
    assert (sums.instances, sums.rates.vcpus, sums.rates.memory_bytes) == (2, 4.0, 8.0 * GIB)
    assert (sums.rates.memory_used_bytes, sums.memory_coverage) == (1.0 * GIB, 0.5)


def test_a_project_of_which_nothing_is_known_has_no_sums() -> None:
    sums = add_up_project("p", [make_instance(rates=Rates(), activity=None)])
    assert sums.rates == Rates()
    assert (sums.judged, sums.idle_vcpus, sums.idle_memory_bytes, sums.memory_coverage) == (0, None, None, None)


def test_idle_instances_are_added_up_apart_and_none_of_the_judged_is_zero() -> None:
    idle, busy = make_instance(uuid="a", activity=IDLE_ACTIVITY), make_instance(uuid="b")
    view = join_cloud("c", CloudUse(time=NOW, instances=(idle, busy)), RULE, {})
    (sums,) = view.projects
    assert (sums.idle, sums.judged, sums.idle_vcpus, sums.idle_memory_bytes) == (1, 2, 2.0, 4.0 * GIB)
    (sums,) = join_cloud("c", CloudUse(time=NOW, instances=(busy,)), RULE, {}).projects
    assert (sums.idle, sums.idle_vcpus) == (0, 0.0)


def test_a_project_with_members_and_no_instance_has_none() -> None:
    view = join_cloud("c", CloudUse(time=NOW), RULE, {"p": frozenset({"alice"})})
    (sums,) = view.projects
    assert (sums.project, sums.instances, sums.rates.vcpus) == ("p", 0, None)


NUMBER = st.none() | st.integers(0, 2**40).map(float)
INSTANCES = st.lists(
    st.builds(
        Instance,
        uuid=st.uuids().map(str),
        project=st.sampled_from(["", "def-kim", 'it"s\n🦙']),
        rates=st.builds(Rates, **{each.name: NUMBER for each in fields(Rates)}),
        activity=st.none() | st.builds(Activity, cpu_seconds=NUMBER, network_bytes=NUMBER, coverage=st.floats(0, 1)),
    ),
    max_size=12,
    unique_by=lambda each: each.uuid,
)


@given(INSTANCES)
def test_the_projects_hold_each_instance_once(instances: list[Instance]) -> None:
    view = join_cloud("c", CloudUse(time=NOW, instances=tuple(instances)), RULE, {})
    assert sum(sums.instances for sums in view.projects) == len(instances)
    assert [sums.project for sums in view.projects] == sorted({each.project for each in instances})
    for name in (each.name for each in fields(Rates)):
        known = [value for each in instances if (value := getattr(each.rates, name)) is not None]
        sums = [value for each in view.projects if (value := getattr(each.rates, name)) is not None]
        assert sum(sums) == sum(known)
        assert bool(sums) == bool(known)
    for sums in view.projects:
        assert 0 <= sums.idle <= sums.judged <= sums.instances
        assert sums.memory_coverage is None or 0 <= sums.memory_coverage <= 1
