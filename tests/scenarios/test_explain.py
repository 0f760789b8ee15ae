"""What is said of a number can be tried: its query, in the Prometheus that was asked, gives the same number."""

from typing import Any

import pytest

from tests.scenarios.proxy import unavailable
from tests.scenarios.site import Site

_GPUS = "1=8,2=8000,4=2,5=8,1001=4,1002=4"
# Every value of a running job that Prometheus alone gives.
_SHOWN = {
    "used_cpus", "cpu_seconds", "memory_used_bytes", "memory_peak_bytes", "running_threads", "gpus_observed",
    "gpus_busy", "gpu_utilization_ratio", "gpu_memory_used_bytes", "cpu_efficiency_ratio", "memory_efficiency_ratio",
    "wasted_cpus", "wasted_gpus", "wasted_cpu_seconds",
}  # fmt: skip


def explanation(site: Site, job: int = 500) -> dict[str, Any]:
    data: dict[str, Any] = site.data(f"/jobs/{job}/explain")
    return data


def tried(site: Site, job: int = 500) -> set[str]:
    """Ask each value's query of the real Prometheus as of the time that is said; name those that were tried."""
    data = explanation(site, job)
    (at,) = {each["evaluated_timestamp_seconds"] for each in data["queries"] if each["input"] in ("cpus", "threads")}
    values = [each for each in data["values"] if each["promql"]]
    for each in values:
        (series,) = site.servers.prometheus.query(each["promql"], at)
        assert float(series["value"][1]) == pytest.approx(each["value"], rel=1e-9, abs=1e-9), each["name"]
    return {each["name"] for each in values}


def busy(site: Site) -> None:
    """Give a job of two nodes and four GPUs, one never touched, samples that move; and a neighbour on a node."""
    for number, node in enumerate(("node01", "node02")):
        site.samples.exporter(node)
        site.samples.job(500, node, busy=0.3 + 0.4 * number, memory=lambda at, number=number: 1e9 + 1e5 * at * number)
        site.samples.add(
            "slurm_job_threads_count", 3.0 + number, instance=f"{node}:9798", job="slurm_job", slurmjobid="500",
            user="ann", account="phys", state="running",
        )  # fmt: skip
    site.samples.gpu(500, "0", busy=lambda at: 0.5 + at / 2000)
    site.samples.gpu(500, "1", busy=0.0)
    site.samples.gpu(500, "0", "node02", busy=0.9)
    site.samples.job(501, "node01", user="ben")
    site.samples.gpu(501, "2", user="ben")
    site.job(500, nodes_alloc=2, nodelist="node[01-02]", tres_alloc=_GPUS, timelimit=600, started=-590)
    site.job(501, started=-590, id_assoc=11)


def test_each_query_gives_the_number_that_it_explains(site: Site) -> None:
    busy(site)
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    assert tried(site) == _SHOWN
    assert tried(site, 501) >= _SHOWN - {name for name in _SHOWN if "gpu" in name or name == "running_threads"}


def test_the_sites_own_names_and_hostile_labels_are_asked_as_they_are(site: Site) -> None:
    site.use_exporters(slurm_job_exporter={"metrics": {"slurm_job_memory_rss": "rss"}, "labels": {"slurmjobid": "id"}})
    site.settings["prometheus"]["matchers"]["site"] = hostile = 'a"} or up{x="\\'
    site.samples.add("up", 1.0, instance="node01:9798", job="slurm_job", site=hostile)
    labels = {"instance": "node01:9798", "job": "slurm_job", "id": "500", "site": hostile}
    for name, value in (("rss", 7e8), ("slurm_job_memory_usage", 1e9), ("slurm_job_memory_max", 2e9)):
        site.samples.add(name, value, **labels)
    site.job(500, job_name='x"} or up #', started=-590)
    site.start(until=lambda: site.value("hpc_job_memory_used_bytes", slurmjobid=500))
    assert tried(site) >= {"memory_used_bytes", "memory_peak_bytes", "memory_efficiency_ratio"}
    assert all("job_name" not in (each["query"] or "") for each in explanation(site)["queries"])


def test_while_prometheus_is_away_the_numbers_are_of_the_time_that_is_said(site: Site) -> None:
    busy(site)
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    site.proxy.fault = unavailable
    site.refreshed(3)
    data = explanation(site)
    ages = {each["age_seconds"] for each in data["queries"] if each["input"] in ("cpus", "memory_bytes")}
    assert min(ages) > 1.0
    assert tried(site) == _SHOWN


def test_an_ended_job_is_explained_with_what_was_kept(site: Site) -> None:
    busy(site)
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    site.end(500, at=0.0)
    site.wait(lambda: explanation(site)["state"] == "completed", "the end")
    data = explanation(site)
    assert data["verdict"] == "Job 500 is not judged: it has ended."
    used = next(each for each in data["values"] if each["name"] == "used_cpus")
    assert used["value"] == pytest.approx(4.0, rel=1e-6)
    assert not any(each["promql"] for each in data["values"])


def test_no_secret_of_the_configuration_is_in_an_explanation(site: Site) -> None:
    site.settings["prometheus"]["basic_auth"] = {"username": "grafana", "password": "hunter2"}
    busy(site)
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    _, body = site.service.get(f"/api/v1/clusters/{site.cluster}/jobs/500/explain")
    database = site.settings["slurmacct"]
    for secret in ("hunter2", "grafana", site.proxy.url, database["password"], str(database["port"]), "ben"):
        assert secret.encode() not in body, secret
