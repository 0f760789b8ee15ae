"""Replicas: of this service in one Prometheus, and of Prometheus behind one address. Nothing is there twice."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.hasten import hastened_rules
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.lab.service import Service
from tests.rules.files import OWN, rule_files
from tests.scenarios.site import Site

FACTOR = 600
IDLE = {
    "resource": "cpu", "message": "It is idle.", "minimum_runtime": "1s",
    "warning": [{"field": "cpu_used_ratio", "operator": "<", "threshold": 0.5}],
}  # fmt: skip


class Pair:
    """Two replicas of the service, and a Prometheus of their own that scrapes both and has the shipped rules."""

    def __init__(self, site: Site, root: Path) -> None:
        self.site = site
        port = free_port()
        config = copy.deepcopy(site.config)
        config["server"]["listen_address"] = f"{LOOPBACK}:{port}"
        config["state"]["url"] = f"sqlite:///{site.root}/second.db"
        path = site.root / "second.yml"
        path.write_text(yaml.safe_dump(config))
        self.second = Service(site, path, port=port)  # type: ignore[arg-type]
        folder = root / "rules"
        folder.mkdir()
        self.prometheus = PrometheusServer(
            root, service_port=site.service_port, more_service_ports=(port,),
            rule_files=[hastened_rules(each, folder, FACTOR) for each in (OWN, *rule_files("alerts"))],
        )  # fmt: skip

    def __enter__(self) -> "Pair":
        self.second.start()
        self.prometheus.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.prometheus.stop()
        self.second.stop()

    def value(self, query: str) -> float | None:
        return self.prometheus.value(query)

    def firing(self, name: str) -> list[dict[str, Any]]:
        return [each["metric"] for each in self.prometheus.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}')]


@pytest.fixture
def pair(site: Site, tmp_path: Path) -> Iterator[Pair]:
    """Two jobs of ann's, one of which does nothing, and one of ben's."""
    for number, busy, owner in ((500, 0.05, "ann"), (501, 1.0, "ann"), (502, 1.0, "ben")):
        site.job(number, **({"id_assoc": 11, "id_user": 1001} if owner == "ben" else {}))
        site.samples.job(number, busy=busy, user=owner)
    site.samples.exporter("node01")
    rules = site.root / "waste.yml"
    rules.write_text(yaml.safe_dump({"rules": {"idle": IDLE}}))
    site.config["waste"] = {"rules_file": str(rules)}
    site.start(until=lambda: site.value("hpc_job_waste", slurmjobid=500))
    root = tmp_path / "pair"
    root.mkdir(mode=0o755)
    with Pair(site, root) as started:
        wait_until(lambda: (started.value("count(hpc_job_used_cpus)") or 0) == 6, 60, "both replicas")
        wait_until(lambda: (started.value("count(hpc:job_used_cpus)") or 0) == 3, 60, "the recorded series")
        yield started
    shutil.rmtree(root)


def test_two_replicas_are_one_value_one_alert_and_one_row_of_a_join(pair: Pair) -> None:
    assert pair.value("sum(hpc_job_allocated_cpus)") == 24, "the raw series are there twice"
    assert pair.value("sum(hpc:job_allocated_cpus)") == 12
    joined = pair.prometheus.query(
        "hpc:job_used_cpus * on (cluster, slurmjobid) group_left (job_name, partition)"
        " topk by (cluster, slurmjobid) (1, hpc:job_info)"
    )
    assert sorted(each["metric"]["slurmjobid"] for each in joined) == ["500", "501", "502"]
    assert {each["metric"]["partition"] for each in joined} == {"cpu"}
    wait_until(lambda: bool(pair.firing("HpcJobWaste")), 60, "the alert")
    (alert,) = pair.firing("HpcJobWaste")
    assert (alert["slurmjobid"], alert["user"], "instance" in alert) == ("500", "ann", False)
    assert pair.firing("HpcUserWasteInBulk") == []
    assert pair.firing("HpcAggregatorRulesMissing") == []


def test_the_alert_stays_while_one_replica_ends_and_comes_back(pair: Pair) -> None:
    wait_until(lambda: bool(pair.firing("HpcJobWaste")), 60, "the alert")
    since = pair.value("ALERTS_FOR_STATE{alertname='HpcJobWaste'}")
    pair.second.stop()
    wait_until(lambda: pair.value("count(hpc_job_used_cpus)") == 3, 60, "one replica")
    assert pair.value("sum(hpc:job_allocated_cpus)") == 12
    pair.second.start()
    wait_until(lambda: pair.value("count(hpc_job_used_cpus)") == 6, 60, "both replicas")
    assert pair.value("ALERTS_FOR_STATE{alertname='HpcJobWaste'}") == since
    assert len(pair.firing("HpcJobWaste")) == 1


def twice(site: Site) -> None:
    """Write all samples under each of two names, as a pair of Prometheis without deduplication does."""
    series, url = site.samples.series, site.servers.prometheus.url
    for replica in ("a", "b"):
        site.samples.series = list(series)
        site.samples.write(url, {"prometheus_replica": replica})


GRAPHS = (
    ("/jobs/500/series?metric=cpu", 4.0), ("/jobs/500/series?metric=memory", 1e9),
    ("/users/ann/series?metric=used_cpus", 4.0), ("/users/ann/series?metric=used_memory", 5e9),
    ("/series?metric=used_cpus", 7.0), ("/users/ann/series?metric=gpu_power", 300.0),
    ("/series?metric=lustre_bandwidth", 1e6), ("/jobs/500/series?metric=lustre_bandwidth", 1e6),
    ("/jobs/500/series?metric=node_busy_cpus", 4.0),
)  # fmt: skip


def test_every_graph_shows_once_what_two_replicas_of_prometheus_keep(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "lustre_exporter", "node_exporter")
    site.job(500)
    site.samples.job(500)
    site.samples.gpu(500)
    site.samples.host("node01", cpus=8, busy=0.5)
    lustre = {"component": "ost", "target": "scratch-OST0000", "instance": "oss1", "job": "lustre"}
    site.samples.add("lustre_inodes_maximum", 5.0, **lustre)
    for name, more in (("lustre_read_bytes_total", {}), ("lustre_job_read_bytes_total", {"jobid": "500"})):
        site.samples.add(name, lambda at: 1e6 * (at + 1000), **lustre, **more)
    site.samples.add("slurm_job:used_core:sum", 7.0)
    site.samples.add("slurm_job:used_core:sum_user_account", 4.0, user="ann", account="phys")
    site.samples.add("slurm_job:rss_memory:sum_user_account", 5e9, user="ann", account="phys")
    twice(site)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    zero = site.samples.zero
    for path, value in GRAPHS:
        for step in ("5s", "60s"):
            data: Any = site.data(f"{path}&start={zero - 300:.0f}&end={zero - 10:.0f}&step={step}")
            lines = [line for line in data["result"] if line["metric"].get("kind", "rss") == "rss"]
            assert len(lines) == 1, (path, data)
            found = [float(text) for _, text in lines[0]["values"]]
            assert found == pytest.approx([value] * len(found), rel=0.02), (path, step, data["queries"])
