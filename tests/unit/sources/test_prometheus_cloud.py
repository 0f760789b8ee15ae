"""What a cloud's series become: each instance once, in base units, with what it did lately."""

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, vector

from aggregator.model.cloud import IdleRule
from aggregator.model.instances import CloudUse
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusCloud
from tests.builders import NOW

IDENTITY, HYPERVISORS, VCPUS, USED = (
    "timestamp(",
    "group by (job, instance)",
    "count by (uuid) (count",
    "deriv(libvirtd_domain_vcpu",
)
USABLE, CURRENT, RX = "libvirtd_domain_balloon_usable", "balloon_current{", "deriv(libvirtd_domain_net_rx_bytes"
CPU_SECONDS, NETWORK, SEEN = "increase(libvirtd_domain_vcpu", "increase(libvirtd_domain_net", "count_over_time"
FAILURE = web.Response(status=500, text="oops")
RULE = IdleRule(duration=1000.0)


def instance(
    uuid: str = "u1", at: float = NOW, hypervisor: str = "hv01:9474", **labels: str
) -> tuple[dict[str, str], str]:
    own = {"instance_name": "web", "project_name": "p", "user_name": "alice", "instance_type": "m1", **labels}
    return {"uuid": uuid, "instance": hypervisor, **own}, str(at)


def of(value: str, uuid: str = "u1") -> tuple[dict[str, str], str]:
    return {"uuid": uuid}, value


def make_cloud(client: PrometheusClient, **settings: object) -> PrometheusCloud:
    exporter = ExporterSettings(**settings)  # type: ignore[arg-type]
    return PrometheusCloud(client, {"cluster": "stack"}, exporter, NodeNames(), RULE)


async def fetch(client: PrometheusClient) -> CloudUse:
    return await make_cloud(client).fetch(NOW)


@pytest.fixture(autouse=True)
def answers(prometheus: FakePrometheus) -> dict[str, object]:
    # The look back first: its expressions have the same metrics.
    prometheus.answers = {
        CPU_SECONDS: vector(of("4e10")), NETWORK: vector(of("7e3")), SEEN: vector(of("100")),
        IDENTITY: vector(instance()), HYPERVISORS: vector(({"instance": "hv01:9474"}, "1")),
        VCPUS: vector(of("2")), USED: vector(of("1.5e9")), USABLE: vector(of("512")), CURRENT: vector(of("1024")),
        RX: vector(of("10")),
    }  # fmt: skip
    return prometheus.answers


async def test_values_come_in_base_units(client: PrometheusClient) -> None:
    use = await fetch(client)
    assert use.hypervisors == {"hv01": True}
    assert use.instances.to_dicts() == [{
        "uuid": "u1", "instance_name": "web", "project": "p", "user": "alice", "flavor": "m1", "hypervisor": "hv01",
        "vcpus": 2.0, "used_cpus": pytest.approx(1.5), "memory_bytes": 2.0**20, "memory_used_bytes": 2.0**19,
        "disk_read_bytes_per_second": None, "disk_write_bytes_per_second": None,
        "network_receive_bytes_per_second": 10.0, "network_transmit_bytes_per_second": None,
        "did_cpu_seconds": 40.0, "did_network_bytes": 7e3, "did_coverage": 1.0,
    }], "what has no series is not known"  # fmt: skip
    assert (use.failed, use.rejected) == ({}, {})


async def test_the_number_of_queries_is_constant(
    prometheus: FakePrometheus, client: PrometheusClient, answers: dict[str, object]
) -> None:
    answers[IDENTITY] = vector(*(instance(f"u{number}") for number in range(500)))
    cloud = make_cloud(client)
    assert len((await cloud.fetch(NOW)).instances) == 500
    first = len(prometheus.queries)
    await cloud.fetch(NOW + 30)
    assert (first, len(prometheus.queries) - first) == (13, 10), "what was done in a day is asked now and then"
    await cloud.fetch(NOW + 101)
    assert len(prometheus.queries) == 13 + 10 + 13
    assert all('cluster="stack"' in form["query"] for form in prometheus.queries)


async def test_an_instance_on_two_hypervisors_is_there_once_where_it_was_seen_last(
    client: PrometheusClient, answers: dict[str, object]
) -> None:
    answers[IDENTITY] = vector(
        instance(at=NOW - 1, hypervisor="hv02:9474", instance_name="new"), instance(at=NOW - 20), instance("u2")
    )
    use = await fetch(client)
    assert use.instances.select("uuid", "hypervisor", "instance_name").rows() == [
        ("u1", "hv02", "new"),
        ("u2", "hv01", "web"),
    ]


async def test_use_of_what_does_not_run_any_more_is_not_shown(
    client: PrometheusClient, answers: dict[str, object]
) -> None:
    """A rate looks back: it has values of instances that have gone."""
    answers[USED] = vector(of("1e9", "gone"), of("2e9"))
    assert (await fetch(client)).instances["uuid"].to_list() == ["u1"]


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "9.3e18", ""])
async def test_an_impossible_value_is_dropped_and_counted(
    client: PrometheusClient, answers: dict[str, object], value: str
) -> None:
    answers[CURRENT] = vector(of(value))
    use = await fetch(client)
    assert use.instances["memory_bytes"].to_list() == [None]
    assert use.rejected == {"memory_bytes out of range": 1}


async def test_an_input_that_fails_is_unknown_and_named(client: PrometheusClient, answers: dict[str, object]) -> None:
    answers[VCPUS] = FAILURE
    use = await fetch(client)
    assert use.instances["vcpus"].to_list() == [None]
    assert use.failed.keys() == {"vcpus"}


async def test_half_a_look_back_is_none(client: PrometheusClient, answers: dict[str, object]) -> None:
    """Without its traffic or its CPU time an instance would look idle."""
    answers[NETWORK] = FAILURE
    use = await fetch(client)
    assert use.instances.select("did_cpu_seconds", "did_coverage").row(0) == (None, None)
    assert use.failed.keys() == {"network_bytes"}


async def test_an_instance_that_was_seen_for_half_of_the_time_says_so(
    client: PrometheusClient, answers: dict[str, object]
) -> None:
    answers[SEEN] = vector(of("50"))
    assert (await fetch(client)).instances["did_coverage"].to_list() == [0.5]


async def test_without_identities_the_fetch_fails(client: PrometheusClient, answers: dict[str, object]) -> None:
    answers[IDENTITY] = FAILURE
    with pytest.raises(FetchError, match="HTTP 500"):
        await fetch(client)


async def test_an_empty_cloud_is_empty_and_one_that_does_not_answer_is_not(
    client: PrometheusClient, answers: dict[str, object]
) -> None:
    answers[IDENTITY] = vector()
    assert (await fetch(client)).instances.is_empty()
    answers[HYPERVISORS] = vector(({"instance": "hv01:9474"}, "0"))
    with pytest.raises(FetchError, match="no hypervisor's libvirtd_exporter answers"):
        await fetch(client)
    answers[HYPERVISORS] = vector()
    with pytest.raises(FetchError, match="no libvirtd_info"):
        await fetch(client)


async def test_an_instance_without_uuid_is_counted(client: PrometheusClient, answers: dict[str, object]) -> None:
    answers[IDENTITY] = vector(instance(""), instance())
    use = await fetch(client)
    assert (use.instances["uuid"].to_list(), use.rejected) == (["u1"], {"an instance without uuid": 1})


async def test_the_sites_names_are_read(client: PrometheusClient, prometheus: FakePrometheus) -> None:
    prometheus.answers = {
        "timestamp(vm_state{": vector(({"id": "u9", "tenant": "t", "instance": "hv01"}, "5")),
        HYPERVISORS: vector(({"instance": "hv01"}, "1")),
        "count by (id) (count by (id, vcpu)": vector(({"id": "u9"}, "3")),
    }  # fmt: skip
    cloud = make_cloud(
        client, metrics={"libvirtd_domain_domain_state": "vm_state"}, labels={"uuid": "id", "project_name": "tenant"}
    )
    found = (await cloud.fetch(NOW)).instances
    assert found.select("uuid", "project", "vcpus").rows() == [("u9", "t", 3.0)]
