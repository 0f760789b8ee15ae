"""Inputs that fail, and answers that cannot be true: what was known stays until it is stale, and it is said."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenarios.proxy import empty, only, unavailable
from tests.scenarios.site import Site

USED = ("hpc_job_used_cpus", "hpc_job_memory_used_bytes", "hpc_job_running_threads", "hpc_job_gpu_utilization_ratio")


def keep_busy(site: Site) -> Site:
    """Make a running job with everything that its exporter can show."""
    site.samples.exporter("node01")
    site.job(500, tres_alloc="1=4,2=8000,4=1,5=4,1001=1,1002=1")
    site.samples.job(500)
    site.samples.gpu(500)
    site.samples.add("slurm_job_threads_count", 4.0, instance="node01:9798", job="slurm_job", slurmjobid="500",
                     state="running")  # fmt: skip
    site.start(until=lambda: all(values(site)))
    return site


@pytest.fixture(scope="module")
def shared(shared_site: Site) -> Site:
    return keep_busy(shared_site)


@pytest.fixture
def busy(shared: Site) -> Iterator[Site]:
    """Give the busy site; what the test has made fail has been read again when it ends."""
    yield shared
    shared.proxy.fault = None
    shared.wait(lambda: not failed(shared), "an end of the failure")


def values(site: Site) -> list[float | None]:
    return [site.value(name, slurmjobid=500) for name in USED]


def failed(site: Site, source: str = "prometheus") -> set[str]:
    samples = site.samples_of("hpc_aggregator_source_input_failed", source=source, cluster=site.cluster)
    return {dict(labels)["input"] for labels in samples}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("deriv(", {"cpus"}),
        ("slurm_job_memory_rss", {"memory_bytes"}),
        ("slurm_job_utilization_gpu", {"gpu_utilization"}),
        ("exporter_port", {"healthy_nodes"}),
    ],
)
def test_an_input_that_fails_keeps_its_last_good_value(busy: Site, text: str, names: set[str]) -> None:
    busy.proxy.fault = only(text, unavailable)
    busy.wait(lambda: failed(busy) >= names, "an input that has failed")
    busy.refreshed(2)
    assert None not in values(busy)
    assert busy.value("hpc_job_coverage_ratio", slurmjobid=500, input="gpu") == 1.0
    assert busy.value("hpc_aggregator_source_up", source="prometheus", cluster=busy.cluster) == 0.0


def test_what_is_asked_once_an_hour_is_asked_again_soon_after_a_failure(site: Site) -> None:
    """Which nodes can show GPUs: the soak found that one failure of it took five minutes."""
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500)
    site.proxy.fault = only("[3d:5m]", unavailable)
    site.start(until=lambda: failed(site))
    site.proxy.fault = None
    site.wait(lambda: site.value("hpc_aggregator_source_up", source="prometheus", cluster=site.cluster), "an answer")
    assert failed(site) == set()


def test_a_value_that_is_kept_ends_when_it_is_stale(site: Site) -> None:
    site.config["refresh"]["stale_after"] = "3s"
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    site.proxy.fault = only("deriv(", unavailable)
    site.wait(lambda: site.value("hpc_job_used_cpus", slurmjobid=500) is None, "an end of what is kept")
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) == 1e9


def test_a_run_that_began_after_the_value_that_is_kept_has_none_of_it(site: Site) -> None:
    """The id's former run is what the kept value is of."""
    keep_busy(site)
    site.proxy.fault = only("slurm_job_memory_rss", unavailable)
    site.wait(lambda: failed(site) >= {"memory_bytes"}, "an input that has failed")
    now = time.time() - site.samples.zero
    site.end(500, now)
    site.job(500, started=now)
    site.refreshed(3)
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) is None


def test_no_sample_of_any_node_while_jobs_run_is_a_failure(busy: Site) -> None:
    busy.proxy.fault = empty
    busy.wait(lambda: failed(busy), "an answer that is not believed")
    busy.refreshed(2)
    assert None not in values(busy)
    assert busy.value("hpc_aggregator_source_up", source="prometheus", cluster=busy.cluster) == 0.0


def test_a_matcher_that_matches_nothing_is_a_failure_from_the_start(site: Site) -> None:
    site.settings["prometheus"]["matchers"] = {"cluster": "another"}
    site.samples.exporter("node01")
    site.job(500)
    site.start(until=lambda: failed(site))
    assert site.value("hpc_aggregator_source_up", source="prometheus", cluster=site.cluster) == 0.0


def test_a_cluster_whose_jobs_have_no_process_is_no_failure(site: Site) -> None:
    """Its exporters answer, and have nothing to show."""
    site.samples.exporter("node01")
    site.job(500)
    site.start(until=lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500))
    site.refreshed(3)
    assert failed(site) == set()
    assert site.value("hpc_aggregator_source_up", source="prometheus", cluster=site.cluster) == 1.0


def test_a_cluster_without_jobs_is_no_failure(site: Site) -> None:
    site.samples.add("another", 1.0)
    site.job(500, ended=-100.0)
    site.start(until=lambda: site.value("hpc_aggregator_source_up", source="prometheus", cluster=site.cluster))
    site.refreshed(3)
    assert failed(site) == set()


def test_a_last_job_that_ends_is_no_failure(site: Site) -> None:
    """Its exporter still answers, and has nothing to show."""
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500, until=0.0, ended=True)
    site.start(until=lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500))
    site.end(500, time.time() - site.samples.zero)
    site.refreshed(3)
    assert failed(site) == set()


def test_hosts_and_the_scheduler_do_not_vanish_with_an_empty_answer(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter", "slurm_exporter")
    site.samples.exporter("node01")
    site.samples.host("node01", cpus=2)
    site.samples.add("node_load1", 3.0, instance="node01:9100", job="node")
    site.samples.add("slurm_node_state_info", 1.0, instance="ctl:8080", job="slurm", node="node01", state="mixed")
    site.job(500)
    site.samples.job(500)

    def node() -> tuple[Any, Any]:
        found = site.data("/nodes/node01")
        return found["load"], found["state"]

    site.start(until=lambda: site.samples_of("hpc_node_state", node="node01"))
    site.wait(lambda: node() == (3.0, "mixed"), "a node")
    site.proxy.fault = empty
    site.wait(lambda: failed(site, "node_exporter") and failed(site, "scheduler"), "answers that are not believed")
    site.refreshed(2)
    assert node() == (3.0, "mixed")
