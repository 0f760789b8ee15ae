"""Who vouches for a node: the target that serves slurm-job-exporter's series, by samples of the very time."""

import json
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


def finding(site: Site, job_id: int, reason: str = "gpu_unused") -> bool:
    return bool(site.samples_of("hpc_job_waste", slurmjobid=job_id, reason=reason))


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
    assert not finding(blind, 500)
    assert observed(blind, 500) == 0.0
    assert blind.value("hpc_job_wasted_gpus", slurmjobid=500) is None


def test_an_exporter_that_answers_vouches_for_gpus_that_it_does_not_show(site: Site) -> None:
    site.samples.exporter("node01")
    gpu_job(site, 500)
    site.job(501, started=-7200, tres_alloc="1=4,2=8000,4=1,5=4,1001=1,1002=1")
    shown(site, 501, gpus=1)
    site.start(until=lambda: site.value("hpc_job_wasted_gpus", slurmjobid=500))
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) == 4.0
    assert observed(site, 500) == 1.0


def silent_since(site: Site, seconds: float) -> None:
    """Make two nodes of whose exporters Prometheus has nothing since so many seconds before the start."""
    for node in ("node01", "node02"):
        site.samples.exporter(node, until=-seconds)
        site.samples.job(501, node, until=-seconds)
        site.samples.gpu(501, "0", node, until=-seconds)
    gpu_job(site, 500)
    gpu_job(site, 501, "node02", started=-7200)


def idle_claims(site: Site) -> dict[str, float | None]:
    return {
        f"{name}{job}": site.value(f"hpc_job_{name}", slurmjobid=job)
        for name in ("wasted_gpus", "wasted_cpus", "gpu_utilization_ratio")
        for job in (500, 501)
    }


def test_while_prometheus_is_away_nothing_is_idle(site: Site) -> None:
    """Its newest samples are a minute old, of scrapes every second: it still answers with them for five minutes."""
    silent_since(site, 60.0)
    site.start(until=lambda: site.value("hpc_job_memory_used_bytes", slurmjobid=501))
    assert set(idle_claims(site).values()) == {None}
    assert observed(site, 500) == 0.0


def test_a_service_whose_clock_is_ahead_calls_nothing_idle(make_site: Any) -> None:
    """Samples of "now" are 20 s old for it."""
    site = make_site(clock=20.0)
    silent_since(site, 0.0)
    site.start(until=lambda: site.value("hpc_job_memory_used_bytes", slurmjobid=501))
    assert set(idle_claims(site).values()) == {None}


@pytest.fixture
def untouched(site: Site) -> Site:
    """Make a job that never touched its GPUs, and another one on its node with samples until just before the start."""
    rules = site.root / "waste.yml"
    short = [{"field": "gpu_idle_seconds", "operator": ">=", "threshold": "10s"}]
    long = [{**short[0], "threshold": "30d"}]
    changed = {"minimum_runtime": "1s", "warning": short, "critical": long}
    rules.write_text(json.dumps({"rules": {"gpu_unused": changed}}))
    site.config["waste"] = {"rules_file": str(rules)}
    site.samples.exporter("node01")
    site.samples.job(502)
    gpu_job(site, 500)
    site.job(502, started=-7200)
    return site


def test_the_verdict_does_not_depend_on_the_jobs_of_others(untouched: Site) -> None:
    """No job shows a GPU now; the exporter has, and can."""
    site = untouched
    site.job(501, started=-590, ended=-60, tres_alloc="1=4,2=8000,4=1,5=4,1001=1,1002=1")
    site.samples.gpu(501, until=-60, ended=True)
    site.start(until=lambda: finding(site, 500))
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) == 4.0
    assert site.value("hpc_job_gpu_idle_seconds", slurmjobid=500) > 60.0
    assert observed(site, 500) == 1.0


def test_exporters_that_never_showed_a_gpu_judge_nobody(untouched: Site) -> None:
    site = untouched
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=502))
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) is None
    assert observed(site, 500) == 0.0
    assert not finding(site, 500)


def test_what_another_target_has_shown_is_forgotten(untouched: Site) -> None:
    """The exporter has moved to another port: whether it sees GPUs there is not known."""
    site = untouched
    site.samples.gpu(501, until=-60, ended=True, port=9797)
    site.samples.exporter("node01", port=9797, until=-60, ended=True)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=502))
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) is None


def test_an_exporter_that_was_down_for_long_has_to_show_a_gpu_again(untouched: Site) -> None:
    site = untouched
    site.samples.gpu(501, since=-3500, until=-3000, ended=True)
    site.samples.exporter("node01", up=0.0, since=-2900, until=-600)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=502))
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) is None
