"""The same jobs have the same numbers, whichever exporters show them: of one, of another, of two, of one that dies."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.energy import add_up, gpus
from tests.scenarios.providers import GPU_SETS, SETS, show
from tests.scenarios.site import Site

EXPORTERS = ("slurm_job_exporter", "cgroup_exporter", "ceems_exporter", "node_exporter", "redfish_exporter")
SLUID = 0xBC064B4483EA1000
GPU_FAMILIES = ("gpu_utilization_ratio", "gpu_memory_used_bytes", "gpus_observed", "gpus_busy", "wasted_gpus")
FAMILIES = ("used_cpus", "memory_used_bytes", "wasted_cpus", "cpu_efficiency_ratio", "power_watts")


def numbers(site: Site, job_id: int) -> dict[str, float | None]:
    """Give what is shown of a job, and how much of it was seen."""
    found = {name: site.value(f"hpc_job_{name}", slurmjobid=job_id) for name in FAMILIES[:-1]}
    found["power_watts"] = site.value("hpc_job_power_watts", slurmjobid=job_id, component="node")
    for kind in ("cpu", "memory"):
        found[kind] = site.value("hpc_job_coverage_ratio", slurmjobid=job_id, input=kind)
    return found


def exporters_of(site: Site, job_id: int, name: str) -> dict[str, Any]:
    """Give the nodes of a job whose value of an input is each exporter's."""
    queries = site.data(f"/jobs/{job_id}/explain")["queries"]
    return {each["exporter"]: each["nodes"] for each in queries if each["input"] == name and each["nodes"]}


def test_the_same_job_has_the_same_numbers_through_every_exporter_and_their_mixtures(
    make_site: Callable[..., Site],
) -> None:
    site, jobs = make_site(release="26.05"), dict[str, int]()

    def job(name: str, sluid: int = 0) -> tuple[int, str]:
        jobs[name] = 500 + len(jobs)
        node = f"node{len(jobs):02}"
        site.job(jobs[name], nodelist=node, started=-590, sluid=sluid)
        site.samples.chassis(node, 100.0, chassis_id="1")
        site.samples.host(node, cpus=4, busy=0.5, memory=8e9)
        return jobs[name], node

    for name in SETS:
        show(site.samples, name, *job(name))
    show(site.samples, "plazonic", *job("by SLUID", SLUID), sluid=SLUID)
    show(site.samples, "treydock", *job("by the SLUID in a path", SLUID + 2), sluid=SLUID + 2)
    both, node = job("both at once", SLUID + 1)
    show(site.samples, "slurm_job", both, node)
    show(site.samples, "plazonic", both, node, sluid=SLUID + 1)
    dying, node = job("one that dies")
    show(site.samples, "treydock", dying, node)
    show(site.samples, "slurm_job", dying, node, until=-60.0, ended=True)
    halves = 600
    site.job(halves, nodelist="node[21-22]", nodes_alloc=2, tres_alloc="1=8,2=8000,4=2,5=8", started=-590)
    for name, node in (("slurm_job", "node21"), ("treydock", "node22")):
        show(site.samples, name, halves, node)
    failed, node = 700, "node31"
    site.job(failed, nodelist=node, started=-590)
    show(site.samples, "treydock", failed, node, busy=0.0, memory=0.0)
    site.samples.add(
        "cgroup_exporter_collect_error", 1.0, instance=f"{node}:9306", job="cgroup",
        cgroup=f"/system.slice/slurmstepd.scope/job_{failed}",
    )  # fmt: skip
    site.use_exporters(*EXPORTERS)
    site.settings["providers"] = {"memory": "cgroup_exporter"}
    site.start(until=lambda: site.value("hpc_job_power_watts", slurmjobid=jobs["plazonic"], component="node"))
    add_up(site, 4.0)

    expected = numbers(site, jobs["slurm_job"])
    assert expected["used_cpus"] == pytest.approx(2.0)
    assert (expected["cpu"], expected["memory"], expected["memory_used_bytes"]) == (1.0, 1.0, 1e9)
    for name, job_id in jobs.items():
        assert numbers(site, job_id) == pytest.approx(expected, rel=1e-3), name
    assert site.value("hpc_job_used_cpus", slurmjobid=halves) == pytest.approx(4.0)
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=halves) == 2e9
    assert exporters_of(site, halves, "cpus") == {"slurm_job_exporter": ["node21"], "cgroup_exporter": ["node22"]}
    node = f"node{jobs['both at once'] - 499:02}"
    assert exporters_of(site, both, "memory_bytes") == {"cgroup_exporter": [node]}
    assert exporters_of(site, both, "cpu_seconds") == {"slurm_job_exporter": [node]}
    assert list(exporters_of(site, dying, "cpu_seconds")) == ["cgroup_exporter"]
    # A peak is known of one of them alone, and without a peak nobody is accused.
    assert site.value("hpc_job_memory_peak_bytes", slurmjobid=jobs["plazonic"]) is None
    assert site.value("hpc_job_wasted_memory_bytes", slurmjobid=jobs["plazonic"]) is None
    assert site.value("hpc_node_exporter_up", node="node02") == 1.0
    # What could not be read is not 0.
    assert site.value("hpc_job_used_cpus", slurmjobid=failed) is None
    assert site.value("hpc_job_coverage_ratio", slurmjobid=failed, input="memory") == 0.0


def test_the_same_gpu_has_the_same_numbers_through_every_exporter(site: Site) -> None:
    jobs = {name: 500 + number for number, name in enumerate(GPU_SETS)}
    for name, job_id in jobs.items():
        node = f"node{job_id}"
        site.job(job_id, nodelist=node, started=-570, **gpus(1))
        GPU_SETS[name](site.samples, job_id, node)
    # What two exporters show of one board is one board.
    GPU_SETS["slurm_job"](site.samples, jobs["dcgm"], f"node{jobs['dcgm']}")
    site.use_exporters(*EXPORTERS, "dcgm_exporter", "nvidia_gpu_exporter", "amd_exporter")
    site.start(until=lambda: site.value("hpc_job_gpus_observed", slurmjobid=jobs["slurm_job"]))

    for name, job_id in jobs.items():
        found = {each: site.value(f"hpc_job_{each}", slurmjobid=job_id) for each in GPU_FAMILIES}
        assert found == pytest.approx(
            {"gpu_utilization_ratio": 0.6, "gpu_memory_used_bytes": 2.0**30, "gpus_observed": 1.0, "gpus_busy": 1.0,
             "wasted_gpus": 0.4}
        ), name  # fmt: skip
        assert site.value("hpc_job_coverage_ratio", slurmjobid=job_id, input="gpu") == 1.0
    assert exporters_of(site, jobs["dcgm"], "gpu_utilization") == {"dcgm_exporter": [f"node{jobs['dcgm']}"]}
