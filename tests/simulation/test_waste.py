"""Waste over hours: every sure one is found, and nobody is accused of what was not seen."""

import pytest

from tests.simulation.said import Said, findings_of
from tests.simulation.steps import Steps
from tests.simulation.world import BEGIN, MINUTE, Job

# All of the simulation in one worker: it is made once.
pytestmark = [pytest.mark.xdist_group("simulation"), pytest.mark.timeout(900)]

# An exporter that is back is believed after some samples.
RECENT = 10 * MINUTE


def seen_now(said: Said, job: Job) -> bool:
    world = said.simulation.world
    times = (said.until - RECENT, said.until)
    return all(world.nodes[name].sees_jobs(at) for name in job.nodes for at in times)


def has_shown_gpus(said: Said, node: str) -> bool:
    """Tell whether any job has ever had a GPU of the node open: nothing is known of the others."""
    return any(parts for job in said.simulation.world.on(node) for parts in job.gpu.values())


def is_blind(said: Said, job: Job) -> bool:
    world = said.simulation.world
    return not any(world.nodes[name].sees_jobs(said.until) for name in job.nodes)


def test_nobody_is_accused_falsely(said: Said) -> None:
    accused = {
        f"{job.job_id} {job.kind}, since {-job.start / MINUTE:.0f} min": more
        for job, run in said.running()
        if (more := {each for each in findings_of(run) - job.expected if each[0] not in job.possible})
    }
    assert accused == {}


def test_every_sure_waste_is_found(said: Said) -> None:
    missed = {
        f"{job.job_id} {job.kind}, since {-job.start / MINUTE:.0f} min": missing
        for job, run in said.running()
        if (missing := job.expected - findings_of(run))
    }
    assert missed == {}


def test_the_page_says_what_the_api_says(said: Said) -> None:
    on_page = {
        (labels["slurmjobid"], labels["reason"], labels["severity"]) for labels, _ in said.page.samples("hpc_job_waste")
    }
    in_api = {(str(job.job_id), *finding) for job, run in said.running() for finding in findings_of(run)}
    assert on_page == in_api


def test_ended_jobs_are_not_accused(said: Said) -> None:
    assert [job.kind for job, run, _ in said.jobs() if not job.is_open and findings_of(run)] == []


def test_what_is_not_seen_is_not_called_wasted(said: Said) -> None:
    """No amount, no efficiency: the exporters of these jobs are down."""
    blind = [(job, run) for job, run in said.running() if is_blind(said, job)]
    assert len(blind) > 5
    claimed = {
        f"{job.kind}: {family}"
        for job, _ in blind
        for family in ("hpc_job_wasted_cpus", "hpc_job_wasted_gpus", "hpc_job_used_cpus", "hpc_job_gpus_observed")
        for _ in said.page.samples(family, slurmjobid=str(job.job_id))
    }
    assert claimed == set()


def test_a_suspended_job_wastes_nothing_now(said: Said) -> None:
    suspended = [job for job, _ in said.running() if job.state == 2]
    assert suspended
    for job in suspended:
        assert said.page.value("hpc_job_wasted_cpus", slurmjobid=str(job.job_id)) in (None, 0.0), job.kind


def test_cpu_efficiency_is_what_the_job_did(said: Said) -> None:
    """Over the time that it ran: not while it was suspended, nor what an earlier run of its id did."""
    wrong = {}
    now = said.page.value("hpc_aggregator_snapshot_timestamp_seconds") or 0.0
    until = now - said.simulation.zero
    for job, run in said.running():
        if not seen_now(said, job) or until - job.start < 20 * MINUTE:
            continue
        paused = sum(max(0.0, min(end, until) - begin) for begin, end in job.suspended)
        used = sum(job.busy(name).integral(job.start, until) for name in job.nodes)
        ratio = used / (job.cpus * len(job.nodes) * (until - job.start - paused))
        got = run["cpu_efficiency_ratio"]
        if got is None or got != pytest.approx(ratio, rel=0.03, abs=0.005):
            wrong[job.kind] = (got, ratio)
    assert wrong == {}


def test_gpu_utilisation_is_what_the_gpus_did(said: Said) -> None:
    """The mean of the whole run, of jobs that were always seen."""
    wrong = {}
    for job, run, _ in said.jobs():
        nodes = [said.simulation.world.nodes[name] for name in job.nodes]
        is_seen = job.start > BEGIN and not job.suspended and not any(node.exporter_down for node in nodes)
        is_seen = is_seen and all(has_shown_gpus(said, name) for name in job.nodes)
        if not job.gpu or not is_seen or not job.slice or min(job.end, said.until) - job.start < 30 * MINUTE:
            continue
        until = min(job.end, said.until)
        used = [Steps(parts).mean(job.start, until) for parts in job.gpu.values()]
        truth = job.mig if job.mig is not None else sum(used) / len(used)
        got = run["gpu_efficiency_ratio"]
        if got is None or got != pytest.approx(truth, abs=0.02):
            wrong[f"{job.job_id} {job.kind}"] = (got, truth)
    assert wrong == {}
