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
