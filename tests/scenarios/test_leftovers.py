"""A counter that no longer counts is not part of what there is."""

from typing import Any

import pytest

from tests.scenarios.site import Site


def cpu(site: Site, number: int, *, busy: float, off: bool = False) -> None:
    """Add a CPU of node01; one that was switched off two minutes ago is still shown, as some releases do."""

    def seconds(share: float) -> Any:
        return lambda at: 1e6 + share * (min(at, -120.0) if off else at)

    labels = {"instance": "node01:9100", "job": "node", "cpu": str(number)}
    for mode, share in (("idle", 1 - busy), ("user", busy), ("iowait", 0.0)):
        site.samples.add("node_cpu_seconds_total", seconds(share), mode=mode, **labels)


def test_cpus_that_are_switched_off_are_no_capacity_and_not_busy(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.job(500)
    cpu(site, 0, busy=1.0)
    cpu(site, 1, busy=0.5)
    for number in (2, 3):
        cpu(site, number, busy=0.0, off=True)
    # Of these the exporter shows nothing any more: their counters have grown within the window.
    for number in (4, 5):
        for mode, share in (("idle", 1.0), ("user", 0.0)):
            site.samples.add("node_cpu_seconds_total", lambda at, share=share: 1e6 + share * at, until=-1.0, ended=True,
                             instance="node01:9100", job="node", cpu=str(number), mode=mode)  # fmt: skip
    site.start(until=lambda: site.value("hpc_node_jobs", node="node01"))
    node = site.data("/nodes/node01")
    assert node["cpus"] == 2
    assert node["busy_cpus"] == pytest.approx(1.5, abs=0.05)
    # Points are at whole steps: the last is up to a step ago.
    (line,) = site.data("/nodes/node01/series?metric=node_cpus&start=now-5m&step=1")["result"]
    assert (line["values"][0][1], line["values"][-1][1]) == ("6.0", "2.0")


def test_a_host_that_has_just_come_has_its_cpus(site: Site) -> None:
    """Of one sample no counter is known to grow."""
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.job(500)
    for number in range(4):
        site.samples.add("node_cpu_seconds_total", 5.0, since=0.0, until=1.0, instance="node01:9100", job="node",
                         cpu=str(number), mode="idle")  # fmt: skip
    site.start(until=lambda: site.value("hpc_node_jobs", node="node01"))
    assert site.data("/nodes/node01")["cpus"] == 4


def test_hypervisors_are_those_that_show_instances_now(site: Site) -> None:
    """Other targets of their scrape job are none; of two replicas one is enough; what an instance did counts once."""
    site.config["cloud"] = {"arbutus": {
        "prometheus": {"url": site.proxy.url, "matchers": {"cluster": site.cluster}}, "interval": "1s",
        "idle": {"duration": "5m"},
    }}  # fmt: skip
    vm = {"uuid": "u-1", "instance_name": "web", "instance_type": "p2", "project_name": "def-kim", "user_name": "ann"}
    for replica, up in (("prom-0", 1.0), ("prom-1", 0.0)):
        labels = {"instance": "hv01:9474", "job": "openstack", "prometheus_replica": replica}
        site.samples.add("up", up, **labels)
        site.samples.add("libvirtd_info", 1, version="9", **labels)
        site.samples.add("libvirtd_domain_domain_state", 1, **labels, **vm)
        for vcpu in ("0", "1"):
            site.samples.add("libvirtd_domain_vcpu_time", lambda at: 1e12 + 0.03e9 * at, vcpu=vcpu, **labels, **vm)
        for way in ("rx", "tx"):
            site.samples.add(f"libvirtd_domain_net_{way}_bytes", lambda at: 1e9 + at, interface="tap0", **labels, **vm)
    site.samples.add("up", 1, instance="hv01:9100", job="openstack")
    site.samples.add("up", 0, instance="proxy01:9100", job="openstack")
    service = site.start()
    site.wait(lambda: service.samples("hpc_instance_idle"), "the instance")
    shown = {dict(labels)["state"]: value for labels, value in service.samples("hpc_cloud_hypervisors").items()}
    assert shown == {"up": 1.0, "down": 0.0}
    assert list(service.samples("hpc_instance_idle").values()) == [1.0], "3 % of two CPUs, not 6 %"
