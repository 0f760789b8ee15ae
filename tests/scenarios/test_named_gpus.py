"""Where an exporter of a node's GPUs names the job, its numbers count, not those of slurm-job-exporter's NVML."""

import pytest

from tests.scenarios.site import Site

ONE_GPU = "1=4,2=8000,4=1,5=4,1001=1,1002=1"
BOARD = "GPU-b75bf73f-eabc-ddee-0000-000000000001"
DCGM = {"instance": "node01:9400", "job": "dcgm", "gpu": "1", "UUID": BOARD, "device": "nvidia1",
        "modelName": "NVIDIA A100-SXM4-40GB"}  # fmt: skip
NVIDIA = {"instance": "node01:9445", "job": "nvidia", "ordinal": "1", "minor_number": "1", "uuid": BOARD}  # fmt: skip


@pytest.fixture
def job(site: Site) -> Site:
    """Make a job of whose GPU slurm-job-exporter shows another board: 20 % busy, 99.7 W."""
    site.use_exporters("slurm_job_exporter", "redfish_exporter", "dcgm_exporter", "nvidia_gpu_exporter")
    site.samples.exporter("node01")
    site.samples.chassis("node01", 500.0)
    site.job(500, tres_alloc=ONE_GPU)
    site.samples.job(500)
    site.samples.gpu(500, busy=0.2, watts=99.7, memory=2e9)
    return site


def dcgm(site: Site, **labels: str) -> None:
    for metric, value in (("GPU_UTIL", 80.0), ("FB_USED", 1024.0), ("POWER_USAGE", 60.0)):
        site.samples.add(f"DCGM_FI_DEV_{metric}", value, **{**DCGM, **labels})


def nvidia(site: Site, **labels: str) -> None:
    for metric, value in (("duty_cycle", 80.0), ("memory_used_bytes", 2.0**30), ("power_usage_milliwatts", 60e3),
                          ("jobId", 500.0)):  # fmt: skip
        site.samples.add(f"nvidia_gpu_{metric}", value, **{**NVIDIA, **labels})


def watts(site: Site) -> float | None:
    return site.value("hpc_job_power_watts", slurmjobid=500, component="gpu")


def check(site: Site) -> None:
    site.start(until=lambda: watts(site))
    assert watts(site) == pytest.approx(60.0)
    assert site.value("hpc_job_gpu_utilization_ratio", slurmjobid=500) == pytest.approx(0.8)
    assert site.value("hpc_job_gpu_memory_used_bytes", slurmjobid=500) == 2.0**30
    assert site.value("hpc_job_gpus_observed", slurmjobid=500) == 1.0
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) == pytest.approx(0.2)


def test_dcgm_exporter_names_the_job(job: Site) -> None:
    dcgm(job, hpc_job="500")
    check(job)


def test_a_gpu_of_several_jobs_has_a_line_for_each_and_two_replicas_of_prometheus_have_two(job: Site) -> None:
    for replica in ("a", "b"):
        for number in ("500", "501"):
            dcgm(job, hpc_job=number, prometheus_replica=replica)
    check(job)


@pytest.mark.parametrize("labels", [{}, {"jobid": "500", "userid": "1000", "GPU_I_ID": ""}], ids=["v0.2.0", "v0.2.2"])
def test_nvidia_gpu_exporter_names_the_job_in_every_release(job: Site, labels: dict[str, str]) -> None:
    nvidia(job, **labels)
    check(job)


def test_an_exporter_that_names_no_job_changes_nothing_of_the_use(job: Site) -> None:
    dcgm(job)
    job.start(until=lambda: job.value("hpc_job_gpu_utilization_ratio", slurmjobid=500))
    assert job.value("hpc_job_gpu_utilization_ratio", slurmjobid=500) == pytest.approx(0.2)
    assert job.value("hpc_job_gpu_memory_used_bytes", slurmjobid=500) == 2e9
