"""What Prometheus has twice counts once: two replicas that write to one store without deduplication."""

import math
from typing import Any

import pytest

from tests.scenarios.site import Site

REPLICAS = ("prom-0", "prom-1")


def add(site: Site, name: str, value: Any, **labels: str) -> None:
    for replica in REPLICAS:
        site.samples.add(name, value, prometheus_replica=replica, **labels)


def server(site: Site, instance: str, filesystem: str = "scratch", **labels: str) -> None:
    """Add a server's OST and MDT; on them job 500 reads 1e6 and writes 2e6 bytes, and does 100 operations a second."""
    of_server = {"instance": instance, "job": "lustre"}
    ost = {**of_server, "component": "ost", "target": f"{filesystem}-OST0000"}
    mdt = {**of_server, "component": "mdt", "target": f"{filesystem}-MDT0000"}
    of_job = {"jobid": "500", **labels}
    for target in (ost, mdt):
        add(site, "lustre_inodes_maximum", 5, **target)
    for way, rate in (("read", 1e6), ("write", 2e6)):
        add(site, f"lustre_job_{way}_bytes_total", lambda at, rate=rate: 1e9 + rate * at, **ost, **of_job)
        add(site, f"lustre_{way}_bytes_total", lambda at, rate=rate: 1e9 + rate * at, **ost)
    for operation in ("open", "close"):
        add(site, "lustre_job_stats_total", lambda at: 1e6 + 50 * at, operation=operation, **mdt, **of_job)


def last(line: Any) -> float:
    return float(line["values"][-1][1])


def test_lustres_rates_are_not_doubled(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "lustre_exporter")
    site.job(500)
    server(site, "oss1")
    family = "hpc_job_lustre_{}_per_second"
    site.start(until=lambda: site.value(family.format("read_bytes"), slurmjobid=500))
    for what, rate in (("read_bytes", 1e6), ("write_bytes", 2e6), ("metadata_operations", 100.0)):
        assert site.value(family.format(what), slurmjobid=500) == pytest.approx(rate, rel=1e-3)
        assert site.value(f"hpc_cluster_lustre_{what}_per_second", part="jobs") == pytest.approx(rate, rel=1e-3)
    lines = site.data("/jobs/500/series?metric=lustre_bandwidth&start=now-2m&step=10")["result"]
    assert {line["metric"]["direction"]: last(line) for line in lines} == pytest.approx(
        {"read": 1e6, "write": 2e6}, rel=1e-3
    )


def test_a_target_that_fails_over_is_no_copy(site: Site) -> None:
    """Its counters are on two servers within one window: what both have counted was done."""
    site.use_exporters("slurm_job_exporter", "lustre_exporter")
    site.job(500)
    labels = {"component": "ost", "target": "scratch-OST0000", "jobid": "500", "job": "lustre"}
    for instance, begin, end in (("oss1", -600.0, 20.0), ("oss2", 20.0, 240.0)):
        site.samples.add(
            "lustre_job_read_bytes_total", lambda at, begin=begin: 1e6 * (at - begin), since=begin, until=end,
            ended=True, instance=instance, **labels,
        )  # fmt: skip
    site.start()
    lines = site.data(f"/jobs/500/series?metric=lustre_bandwidth&start={site.samples.zero - 60}"
                      f"&end={site.samples.zero + 28}&step=4")["result"]  # fmt: skip
    read = [float(value) for line in lines if line["metric"]["direction"] == "read" for _, value in line["values"]]
    assert min(read) > 0.7e6


def test_servers_with_and_without_the_proxy_are_both_in_a_users_graph(site: Site) -> None:
    """The gauges of the service are in Prometheus, too; `both` has a server of each kind."""
    site.use_exporters("slurm_job_exporter", "lustre_exporter", "lustre_exporter_slurm")
    site.job(500)
    proxied = {"fs": "scratch", "user": "ann", "account": "phys"}
    server(site, "oss1", "scratch", **proxied)
    server(site, "oss2", "home")
    server(site, "oss3", "both", **{**proxied, "fs": "both"})
    server(site, "oss4", "both")
    for filesystem, rate in (("scratch", 1e6), ("home", 1e6), ("both", 2e6)):
        add(site, "hpc_user_lustre_read_bytes_per_second", rate, user="ann", account="phys", filesystem=filesystem,
            instance="aggregator:9850", job="aggregator")  # fmt: skip
    site.start(until=lambda: site.value("hpc_job_lustre_read_bytes_per_second", slurmjobid=500, filesystem="home"))

    def read(of: str) -> dict[str, float]:
        lines = site.data(f"{of}/series?metric=lustre_bandwidth&start=now-2m&step=10")["result"]
        return {line["metric"]["filesystem"]: last(line) for line in lines if line["metric"]["direction"] == "read"}

    wanted = pytest.approx({"scratch": 1e6, "home": 1e6, "both": 2e6}, rel=1e-3)
    assert read("/users/ann") == wanted
    assert read("/accounts/phys") == wanted
    assert read("/jobs/500") == wanted


def test_nodes_and_what_slurmctld_says_of_them_are_there_once(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "slurm_exporter", "node_exporter")
    site.job(500)
    add(site, "slurm_node_state_info", 1, node="node01", state="mixed", instance="ctl:8080", job="slurm")
    add(site, "slurm_cpus_alloc", 4, instance="ctl:8080", job="slurm")
    add(site, "node_load1", 3.0, instance="node01:9100", job="node")
    for cpu in range(8):
        for mode, share in (("idle", 0.25), ("user", 0.75)):
            add(site, "node_cpu_seconds_total", lambda at, share=share: 1e6 + share * at, cpu=str(cpu), mode=mode,
                instance="node01:9100", job="node")  # fmt: skip
    site.start(until=lambda: site.samples_of("hpc_node_state", node="node01"))
    node = site.data("/nodes/node01")
    assert (node["cpus"], node["load"]) == (8, 3.0)
    assert math.isclose(node["busy_cpus"], 6.0, rel_tol=1e-3)
    lines = site.data("/series?metric=scheduler_cpus&start=now-2m&step=10")["result"]
    assert {line["metric"]["state"]: last(line) for line in lines}["allocated"] == 4.0
