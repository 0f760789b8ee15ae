"""Clouds and quotas from the real Prometheus: each thing once, and what cannot be read is not there."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.lab import Lab, wait_until
from tests.lab.exporters.libvirtd_exporter import INSTANCES
from tests.lab.service import Service

pytestmark = pytest.mark.lab

WEB, WORKER, IDLE, LEE = INSTANCES
PROJECT = f"/api/v1/cloud/projects/{WEB.project}"
GIB = 2**30
VCPUS = float(sum(each.vcpus for each in INSTANCES if each.project == WEB.project))


@pytest.fixture(autouse=True)
def faultless(lab: Lab, service: Service) -> Iterator[None]:
    wait_until(lambda: service.value("hpc_project_vcpus", project=WEB.project) == VCPUS, 60, "the cloud")
    # All of them: one that is still withdrawn from the test before would say nothing but that.
    wait_until(lambda: set(quotas_up(service)) == {1.0}, 60, "all quotas")
    yield
    lab.simulators.cloud.down, lab.simulators.cloud.migrating = frozenset(), {}
    lab.simulators.quotas.timed_out = lab.simulators.quotas.clash = False


def quotas_up(service: Service) -> list[float]:
    return list(service.samples("hpc_aggregator_source_up", source="quota").values())


def refreshed(service: Service) -> None:
    """Wait for a view of the cloud that is later than now."""
    now = time.time()
    wait_until(
        lambda: (service.value("hpc_aggregator_snapshot_timestamp_seconds", cluster="stack") or 0) > now + 1,
        30,
        "a view",
    )


def warnings(service: Service, path: str) -> list[str]:
    found: list[str] = json.loads(service.get(path)[1]).get("warnings", [])
    return found


def test_an_instance_shows_what_it_does(service: Service) -> None:
    data = service.data(f"/api/v1/cloud/instances/{WEB.uuid}")
    assert (data["instance_name"], data["user"], data["hypervisor"]) == ("web-1", "amartin", "hv01")
    assert (data["vcpus"], data["memory_bytes"], data["memory_used_bytes"]) == (2.0, 3 * GIB, 2 * GIB)
    wait_until(
        lambda: service.value("hpc_instance_used_cpus", uuid=WEB.uuid) == pytest.approx(1.0, rel=0.05), 60, "its CPUs"
    )
    assert service.value("hpc_instance_memory_used_bytes", uuid=LEE.uuid) is None, "its driver reports nothing"
    assert service.value("hpc_instance_memory_bytes", uuid=LEE.uuid) == 1.5 * GIB


def test_an_instance_that_does_next_to_nothing_idles_and_the_others_do_not(service: Service) -> None:
    wait_until(lambda: service.value("hpc_instance_idle", uuid=IDLE.uuid) == 1, 60, "the idle instance to be found")
    wait_until(lambda: service.value("hpc_instance_idle", uuid=WORKER.uuid) == 0, 60, "the busy one to be judged")
    assert service.value("hpc_project_idle_vcpus", project=WEB.project) == IDLE.vcpus
    idle = service.data(f"/api/v1/cloud/instances?project={WEB.project}&idle=true")["instances"]
    assert [each["uuid"] for each in idle] == [IDLE.uuid]


def test_an_instance_on_two_hypervisors_is_counted_once(lab: Lab, service: Service) -> None:
    lab.simulators.cloud.migrating = {WEB.uuid: "hv02"}
    both = f'count(libvirtd_domain_domain_state{{uuid="{WEB.uuid}"}})'
    wait_until(lambda: lab.prometheus.value(both) == 2, 30, "both hypervisors to show it")
    # Long enough that the rates of both are over many samples.
    for _ in range(5):
        refreshed(service)
        assert service.value("hpc_instance_vcpus", uuid=WEB.uuid) == WEB.vcpus
        assert service.value("hpc_project_vcpus", project=WEB.project) == VCPUS
        assert service.value("hpc_instance_memory_bytes", uuid=WEB.uuid) == 3 * GIB
        assert (service.value("hpc_instance_used_cpus", uuid=WEB.uuid) or 0.0) < 1.2
    end = int(time.time()) - 1
    for metric, most in (("cpu", 1.2), ("vcpus", VCPUS), ("memory_used", 2.0 * GIB)):
        data = service.data(f"{PROJECT}/series?metric={metric}&start={end - 5}&end={end}&step=1")
        lines = [line for line in data["result"] if line["metric"].get("uuid", WEB.uuid) == WEB.uuid]
        assert len(lines) == 1
        assert 0 < lines[0]["max"] <= most


def test_instances_of_a_hypervisor_that_is_down_are_missing_and_nobody_is_accused(lab: Lab, service: Service) -> None:
    lab.simulators.cloud.down = frozenset({"hv02"})
    wait_until(lambda: service.value("hpc_cloud_hypervisors", state="down") == 1, 30, "the hypervisor to be down")
    wait_until(lambda: service.value("hpc_instance_info", uuid=WORKER.uuid) is None, 30, "its instances to be gone")
    assert service.value("hpc_instance_idle", uuid=IDLE.uuid) is None
    assert service.value("hpc_project_vcpus", project=WEB.project) == WEB.vcpus
    assert any("1 of 2 hypervisors do not answer" in text for text in warnings(service, PROJECT))
    lab.simulators.cloud.down = frozenset({"hv01", "hv02"})
    wait_until(lambda: service.value("hpc_aggregator_source_up", source="cloud") == 0, 30, "the source to be down")
    wait_until(lambda: service.get(PROJECT)[0] == 503, 60, "a cloud of which nothing is known, not an empty one")


def test_a_cloud_that_comes_back_is_there_again(service: Service) -> None:
    wait_until(lambda: service.value("hpc_aggregator_source_up", source="cloud") == 1, 30, "the source to be up")
    assert service.value("hpc_cloud_hypervisors", state="up") == 2


def test_quotas_of_several_filesets_are_added_up_or_chosen_never_the_first(service: Service) -> None:
    whole = service.data("/api/v1/storage/essproject/groups/def-kim")
    root = service.data("/api/v1/storage/rootset/groups/def-kim")
    assert (whole["disk_used_bytes"], whole["quota_bytes"]) == (800 * GIB, 3 << 40)
    assert whole["quota_hard_bytes"] is None, "one fileset has no hard limit, so the sum has none"
    assert (root["disk_used_bytes"], root["quota_hard_bytes"]) == (700 * GIB, 1 << 40)
    assert whole["quota_used_ratio_bytes"] == pytest.approx(800 / 3072)


def test_a_limit_of_zero_is_none(service: Service) -> None:
    ratio = service.samples("hpc_storage_user_quota_used_ratio", filesystem="home")
    assert {dict(labels)["user"] for labels in ratio} == {"amartin"}
    assert service.value("hpc_storage_user_used_bytes", filesystem="home", user="btremblay") == GIB
    assert service.value("hpc_storage_quota_hard_inodes", filesystem="essproject", group="6003412") is None


def test_lustres_quotas_have_the_limits_of_the_allocations_file(service: Service) -> None:
    quota = service.data("/api/v1/storage/oldproject/groups/def-kim")
    assert (quota["quota_source"], quota["counted_by"], quota["quota_bytes"]) == ("allocations", "lfs_quota", 1 << 40)
    assert quota["quota_used_ratio_inodes"] == pytest.approx(0.441208)
    hostile = [each["user"] for each in service.data("/api/v1/storage/scratch/users")["users"] if '"' in each["user"]]
    assert hostile == ['o"brien \\ 🦙']


def test_quotas_that_are_not_collected_are_no_data(lab: Lab, service: Service) -> None:
    lab.simulators.quotas.timed_out = True
    wait_until_down(service, "mmrepquota failed or timed out")
    wait_until(lambda: not service.samples("hpc_storage_user_used_bytes", filesystem="home"), 60, "old data to go")
    assert service.get("/api/v1/storage/home/users")[0] == 503
    lab.simulators.quotas.timed_out = False
    wait_until(lambda: bool(service.samples("hpc_storage_user_used_bytes", filesystem="home")), 30, "new data")


def test_an_exporter_whose_filesets_clash_gives_no_quota(lab: Lab, service: Service) -> None:
    lab.simulators.quotas.clash = True
    wait_until_down(service, "no series for")


def wait_until_down(service: Service, said: str) -> None:
    """Wait until the quotas cannot be read, and the API says why."""
    wait_until(lambda: 0.0 in quotas_up(service), 30, "the source to be down")
    wait_until(lambda: any(said in text for text in warnings(service, "/api/v1/storage/essproject")), 30, "its error")
