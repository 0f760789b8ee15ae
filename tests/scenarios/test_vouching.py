"""Who vouches for a node: the target that serves slurm-job-exporter's series, by samples of the very time."""

from typing import Any

import pytest

from tests.scenarios.site import Site

GPUS = {"tres_alloc": "1=4,2=8000,4=1,5=4,1001=4,1002=4", "tres_req": "1=4,2=8000,4=1,1001=4"}


def gpu_job(site: Site, job_id: int, node: str = "node01", *, started: float = -7200.0, **changes: Any) -> None:
    """Add a run that holds four GPUs, long enough to be judged."""
    site.job(job_id, started=started, nodelist=node, **{**GPUS, **changes})


def shown(site: Site, job_id: int, node: str = "node01", *, gpus: int = 4, **more: Any) -> None:
    """Add what slurm-job-exporter shows of a job and its GPUs."""
    site.samples.job(job_id, node)
    for index in range(gpus):
        site.samples.gpu(job_id, str(index), node, **more)


def finding(site: Site, job_id: int, reason: str = "gpu_unused") -> float | None:
    return site.value("hpc_job_waste", slurmjobid=job_id, reason=reason)


def observed(site: Site, job_id: int) -> float | None:
    return site.value("hpc_job_coverage_ratio", slurmjobid=job_id, input="gpu")


@pytest.fixture
def blind(site: Site) -> Site:
    """Make a node whose slurm-job-exporter has been down for two hours, beside its node_exporter in the scrape job."""
    site.samples.begin = -900.0
    site.samples.exporter("node01", up=0.0)
    site.samples.exporter("node01", up=1.0, port=9100)
    site.samples.exporter("node02")
    gpu_job(site, 500)
    gpu_job(site, 501, "node02")
    shown(site, 501, "node02")
    return site


def test_another_exporter_of_the_scrape_job_does_not_vouch_for_a_node(blind: Site) -> None:
    """The job's GPUs are busy, nobody can see it."""
    blind.start(until=lambda: blind.value("hpc_job_gpus_busy", slurmjobid=501))
    blind.wait(lambda: blind.value("hpc_node_exporter_up", node="node02"), "a node whose exporter answers")
    assert blind.value("hpc_node_exporter_up", node="node01") == 0.0
    assert finding(blind, 500) is None
    assert observed(blind, 500) == 0.0
    assert blind.value("hpc_job_wasted_gpus", slurmjobid=500) is None
