"""The main path on the real stack: what Slurm runs, Prometheus holds and Robinhood counts comes out joined."""

import json
import subprocess
from collections.abc import Sequence

import pytest
from prometheus_client.samples import Sample

from tests.lab import Lab, wait_until
from tests.lab.behaviours import BEHAVIOURS, DEFAULT
from tests.lab.feed import RunningJob
from tests.lab.jobs import LATIN1_NAME, LONG_NAME, PENDING, WEIRD_NAME
from tests.lab.packages import promtool
from tests.lab.service import Service
from tests.lab.simulators import Fault

pytestmark = pytest.mark.lab


def cpus_of(job: RunningJob) -> int:
    return sum(len(share.cpus) for share in job.nodes.values())


def job_value(service: Service, family: str, job_id: int, **labels: str) -> float | None:
    return service.value(f"hpc_job_{family}", slurmjobid=str(job_id), **labels)


def test_each_running_job_has_its_series_with_owner_allocation_and_use(lab: Lab, service: Service) -> None:
    running = [job for job in lab.feed.jobs if job.submitted_id in lab.jobs.values()]
    assert len(running) == 17
    wait_until(lambda: missing_use(lab, service, running) == set(), 60, "the use of every job")
    series = by_family(service)
    for job in running:
        behaviour = lab.simulators.behaviours.get(job.submitted_id, DEFAULT)
        key, cpus = str(job.job_id), cpus_of(job)
        allocated = series["allocated_cpus"][key]
        assert (allocated.labels["user"], allocated.labels["account"]) == (job.user, job.account)
        assert allocated.value == cpus
        assert series["allocated_nodes"][key].value == len(job.nodes)
        assert series["allocated_memory_bytes"][key].value == sum(s.memory_bytes for s in job.nodes.values())
        if behaviour.processes:
            assert series["memory_used_bytes"][key].value == behaviour.rss(1) * cpus
        else:
            assert key not in series["memory_used_bytes"]
            assert key not in series["used_cpus"]


def by_family(service: Service) -> dict[str, dict[str, Sample]]:
    families = service.families()
    return {
        name: {sample.labels["slurmjobid"]: sample for sample in families[f"hpc_job_{name}"].samples}
        for name in ("allocated_cpus", "allocated_memory_bytes", "allocated_nodes", "memory_used_bytes", "used_cpus")
    }


def missing_use(lab: Lab, service: Service, jobs: Sequence[RunningJob]) -> set[int]:
    """Find the jobs whose CPU use is not yet what their behaviour says: a slope needs scrapes at even distances."""
    used = by_family(service)["used_cpus"]
    found = set()
    for job in jobs:
        behaviour = lab.simulators.behaviours.get(job.submitted_id, DEFAULT)
        expected = pytest.approx(behaviour.cpu * cpus_of(job), rel=0.1, abs=0.02)
        sample = used.get(str(job.job_id))
        if behaviour.processes and (sample is None or sample.value != expected):
            found.add(job.job_id)
    return found


def test_the_requeued_job_has_two_runs_and_one_live_series(lab: Lab, service: Service) -> None:
    job_id = lab.jobs["requeued"]
    runs = service.data(f"/api/v1/clusters/lab/jobs/{job_id}")["runs"]
    assert [run["state"] for run in runs] == ["requeued", "running"]
    assert runs[0]["run_id"] != runs[1]["run_id"]
    (labels,) = service.samples("hpc_job_info", slurmjobid=str(job_id))
    assert dict(labels)["state"] == "running"
    assert job_value(service, "allocated_cpus", job_id) == 2


def test_array_tasks_and_heterogeneous_components_have_series_of_their_own(lab: Lab, service: Service) -> None:
    array, het = str(lab.jobs["array"]), str(lab.jobs["het"])
    tasks = [dict(labels) for labels in service.samples("hpc_job_info", array_job_id=array)]
    running = [labels for labels in tasks if labels["state"] == "running"]
    assert {labels["array_task_id"] for labels in running} == {"0", "1", "2"}
    assert len({labels["slurmjobid"] for labels in tasks}) == len(tasks)
    assert len(service.samples("hpc_job_info", het_job_id=het)) == 2
    for asked, count in ((f"{array}_1", 1), (f"{het}%2B1", 1), (f"{het}+0", 1), (het, 2)):
        assert len(service.data(f"/api/v1/clusters/lab/jobs/{asked}")["runs"]) == count, asked


def test_pending_tasks_of_an_array_are_counted(lab: Lab, service: Service) -> None:
    # Of 0-5%3 three run, and three wait in one row.
    pending = {"user": "carol", "account": "rrg-roy", "state": "pending"}
    wait_until(lambda: service.value("hpc_user_jobs", **pending) == 3 + 1, 60, "its pending tasks and the held job")


def test_typed_gpus_are_not_counted_twice(lab: Lab, service: Service) -> None:
    assert job_value(service, "allocated_gpus", lab.jobs["gpu_busy"], gpu_type="a100") == 2
    assert len(service.samples("hpc_job_allocated_gpus", slurmjobid=str(lab.jobs["gpu_busy"]))) == 1


def test_a_job_whose_gpus_have_no_series_is_seen(lab: Lab, service: Service) -> None:
    idle = lab.jobs["gpu_idle"]

    def shown() -> list[float | None]:
        names = ("gpus_observed", "gpu_utilization_ratio", "wasted_gpus")
        coverage = job_value(service, "coverage_ratio", idle, input="gpu")
        return [*(job_value(service, name, idle) for name in names), coverage]

    # Not known while a scrape of its exporter is missed.
    wait_until(lambda: shown() == [0, 0, 2, 1], 60, "its idle GPUs")


def test_gpu_use_is_the_mean_over_the_allocated_gpus(lab: Lab, service: Service) -> None:
    busy, quiet = lab.jobs["gpu_busy"], lab.jobs["gpu_quiet"]
    assert job_value(service, "gpu_utilization_ratio", busy) == pytest.approx(0.9)
    assert job_value(service, "gpus_busy", busy) == 2
    assert job_value(service, "gpu_memory_used_bytes", busy) == 2 * BEHAVIOURS["gpu_busy"].gpu_memory
    assert job_value(service, "gpus_observed", quiet) == 1
    assert job_value(service, "gpus_busy", quiet) == 0


@pytest.mark.parametrize("name", PENDING)
def test_jobs_that_wait_have_no_use(lab: Lab, service: Service, name: str) -> None:
    job_id = lab.jobs[name]
    (labels,) = service.samples("hpc_job_info", slurmjobid=str(job_id))
    assert dict(labels)["state"] == "pending"
    for family in ("used_cpus", "memory_used_bytes", "allocated_cpus", "wasted_cpus", "start_timestamp_seconds"):
        assert job_value(service, family, job_id) is None, family


def test_ended_jobs_keep_their_series_for_a_while(lab: Lab, service: Service) -> None:
    for name, state in (("completed", "completed"), ("failed", "failed"), ("cancelled", "cancelled")):
        (labels,) = service.samples("hpc_job_info", slurmjobid=str(lab.jobs[name]))
        assert dict(labels)["state"] == state
        assert job_value(service, "end_timestamp_seconds", lab.jobs[name]) is not None


def test_no_value_on_the_page_is_nan(service: Service) -> None:
    values = [sample.value for family in service.families().values() for sample in family.samples]
    assert len(values) > 500
    assert all(value == value for value in values)


def test_hostile_names_come_out_whole(lab: Lab, service: Service) -> None:
    wanted = {
        "weird_name": WEIRD_NAME.replace('"', "`"),  # Slurm itself stores a backtick
        "long_name": LONG_NAME,
        "latin1_name": LATIN1_NAME.decode("latin-1"),
    }
    for name, text in wanted.items():
        (labels,) = service.samples("hpc_job_info", slurmjobid=str(lab.jobs[name]))
        # No longer than what every Prometheus takes: limits.job_name_bytes.
        assert dict(labels)["job_name"] == text[:128]
        (run,) = service.data(f"/api/v1/clusters/lab/jobs/{lab.jobs[name]}")["runs"]
        assert run["job_name"] == text


def test_promtool_finds_nothing_to_say(service: Service) -> None:
    _, page = service.get("/metrics")
    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_prometheus_scrapes_the_service_and_can_join(lab: Lab, service: Service) -> None:
    wait_until(lambda: lab.prometheus.value('up{job="hpc-aggregator"}') == 1, 60, "the service to be scraped")
    plain = f'slurmjobid="{lab.jobs["plain"]}"'
    expression = (
        f"hpc_job_allocated_cpus{{{plain}}} * on (cluster, slurmjobid) group_left (user) "
        f"max by (cluster, slurmjobid, user) (slurm_job_memory_rss{{{plain}}}) / 2^20"
    )
    wait_until(lambda: bool(lab.prometheus.query(expression)), 60, "the job's series of both")
    (series,) = lab.prometheus.query(expression)
    assert series["metric"]["user"] == "alice"
    assert float(series["value"][1]) == 4 * 4000
    assert lab.prometheus.query('hpc_job_info{cluster="lab",job_name=~"(?s)quote.*"}')


def test_storage_equals_a_group_by_made_by_hand(lab: Lab, service: Service) -> None:
    by_hand = {
        group.decode(): (int(blocks) * 512, int(tape or 0), int(inodes))
        for group, blocks, tape, inodes in lab.mariadb.execute(
            "SELECT gid, SUM(blocks), SUM(IF(lhsm_status IN ('released','retrieving','synchro'), size, 0)), SUM(count)"
            " FROM ACCT_STAT GROUP BY gid HAVING SUM(count)>0",
            "robinhood_project",
        )
    }
    families = service.families()
    used = {
        (sample.labels["group"], sample.labels["tier"]): sample.value
        for sample in families["hpc_storage_used_bytes"].samples
        if sample.labels["filesystem"] == "project"
    }
    inodes: dict[str, float] = {}
    for sample in families["hpc_storage_used_inodes"].samples:
        if (sample.labels["filesystem"], sample.labels["tier"]) == ("project", "disk"):
            inodes[sample.labels["group"]] = inodes.get(sample.labels["group"], 0) + sample.value
    assert set(inodes) == set(by_hand), "groups whose rows are all 0 are not shown"
    for group, (disk, tape, count) in by_hand.items():
        assert (used[group, "disk"], used[group, "tape"], inodes[group]) == (disk, tape, count)
    of_group = {"filesystem": "project", "group": "def-amartin"}
    assert service.value("hpc_storage_user_used_bytes", user="78901", tier="disk", **of_group) == 2608 * 512
    assert service.value("hpc_storage_quota_used_ratio", resource="inodes", **of_group) is not None


def test_a_node_whose_exporter_is_down_accuses_nobody(lab: Lab, service: Service) -> None:
    job = next(job for job in lab.feed.jobs if job.job_id == lab.jobs["gpu_idle"])
    (node,) = job.nodes
    lab.simulators.set_fault(node, Fault.DOWN)
    try:
        wait_until(lambda: job_value(service, "gpus_observed", job.job_id) is None, 60, "the GPUs to be unknown")
        assert job_value(service, "wasted_gpus", job.job_id) is None
        wait_until(lambda: job_value(service, "coverage_ratio", job.job_id, input="gpu") == 0, 60, "no GPU observed")
    finally:
        lab.simulators.clear_faults()
    wait_until(lambda: job_value(service, "gpus_observed", job.job_id) == 0, 60, "the GPUs to be seen again")


def test_blank_values_and_double_label_sets_change_nothing_but_the_count_of_rejects(lab: Lab, service: Service) -> None:
    job = next(job for job in lab.feed.jobs if job.job_id == lab.jobs["gpu_busy"])
    (node,) = job.nodes
    lab.simulators.set_fault(node, Fault.BLANK)
    lab.simulators.set_fault(node, Fault.DUPLICATE)
    try:
        rejects = {"source": "prometheus", "reason": "gpu_utilization out of range"}
        wait_until(
            lambda: (service.value("hpc_aggregator_rejected_values_total", **rejects) or 0) > 0, 60, "a rejected value"
        )
        ratio = pytest.approx(0.85)
        wait_until(lambda: job_value(service, "gpu_utilization_ratio", job.job_id) == ratio, 60, "one GPU that counts")
        assert job_value(service, "gpus_observed", job.job_id) == 2
        assert job_value(service, "coverage_ratio", job.job_id, input="gpu") == 0.5
        cpus = pytest.approx(cpus_of(job) * BEHAVIOURS["gpu_busy"].cpu, rel=0.1)
        wait_until(lambda: job_value(service, "used_cpus", job.job_id) == cpus, 60, "its CPUs, counted once")
    finally:
        lab.simulators.clear_faults()
    wait_until(
        lambda: job_value(service, "gpu_utilization_ratio", job.job_id) == pytest.approx(0.9), 60, "both GPUs again"
    )


def test_lists_page_through_all_jobs_of_a_user(lab: Lab, service: Service) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = service.data(f"/api/v1/clusters/lab/jobs?user=alice&limit=2{cursor}")
        seen += [run["run_id"] for run in page["jobs"]]
        assert {run["user"] for run in page["jobs"]} == {"alice"}
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) >= 7


def test_an_unknown_parameter_is_named(service: Service) -> None:
    status, body = service.get("/api/v1/clusters/lab/jobs?usr=alice")
    answer = json.loads(body)
    assert (status, answer["errorType"]) == (400, "bad_data")
    assert "usr" in answer["error"]


def test_readiness_says_how_old_each_source_is(service: Service) -> None:
    status, body = service.get("/-/ready")
    assert status == 200
    assert b"slurmacct lab: data" in body
