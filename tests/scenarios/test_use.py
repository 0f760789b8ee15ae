"""What jobs use, as the running service shows it."""

import pytest

from tests.scenarios.site import Site


def test_a_job_has_the_use_that_its_exporter_shows(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500, busy=0.75)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    assert site.value("hpc_job_used_cpus", slurmjobid=500) == pytest.approx(3.0, rel=1e-6)
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) == 1e9
    assert site.data("/jobs/500")["runs"][0]["user"] == "ann"


def test_two_replicas_of_prometheus_are_one_job(site: Site) -> None:
    for replica in ("a", "b"):
        site.samples.exporter("node01", prometheus_replica=replica)
        site.samples.job(500, busy=0.75, prometheus_replica=replica)
        site.samples.gpu(500, busy=0.5, prometheus_replica=replica)
    site.job(500, started=-590, tres_alloc="1=4,2=8000,4=1,5=4,1001=2,1002=2")
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    assert site.value("hpc_job_used_cpus", slurmjobid=500) == pytest.approx(3.0, rel=1e-6)
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) == 1e9
    assert site.value("hpc_job_gpus_observed", slurmjobid=500) == 1.0
    # The second GPU has no series: the exporter is up in both, and has shown the first one.
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) == pytest.approx(1.5)
    assert site.value("hpc_node_exporter_up", node="node01") == 1.0
