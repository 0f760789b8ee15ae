"""What slurmacct's rows mean: runs that end, are resized, suspended, or of several nodes."""

import json
import subprocess
import sys
import time

import pytest

from tests.scenarios.site import Site

RESIZING, SUSPENDED = 8192, 2


def test_an_ended_run_is_judged_by_the_time_until_its_last_sample(site: Site) -> None:
    site.use_exporters(slurm_job_exporter={"interval": "19s"})
    site.samples.exporter("node01")
    # Scraped 95 s after its start for the last time, of 120 s.
    site.job(500, started=-120)
    site.samples.job(500, since=-120, until=-6, interval=19)
    # Seen for a third of its time.
    site.job(501, started=-285)
    site.samples.job(501, since=-285, until=-171, interval=19)
    site.start(until=lambda: site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500))
    site.end(500, 0)
    site.end(501, 0)
    for job in (500, 501):
        site.wait(lambda job=job: site.value("hpc_job_end_timestamp_seconds", slurmjobid=job), "the end")  # type: ignore[misc]
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) == pytest.approx(1.0, abs=0.02)
    assert site.value("hpc_job_wasted_cpu_seconds", slurmjobid=500) == pytest.approx(0.0, abs=8.0)
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=501) is None
    assert site.value("hpc_job_memory_efficiency_ratio", slurmjobid=501) is None
    assert site.value("hpc_job_wasted_cpu_seconds", slurmjobid=501) is None
    (run,) = site.data("/jobs/500")["runs"]
    assert run["cpu_efficiency_ratio"] == pytest.approx(1.0, abs=0.02)
    assert run["observed_ratio"] == pytest.approx(95 / 120, abs=0.02)


def test_what_an_ended_run_does_now_is_no_more(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500, started=-300)
    site.samples.job(500, since=-300)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    site.end(500, time.time() - site.samples.zero)
    site.wait(lambda: site.value("hpc_job_end_timestamp_seconds", slurmjobid=500), "the end")
    assert site.value("hpc_job_used_cpus", slurmjobid=500) is None
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) is None
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("is_open_twice", [False, True])
def test_the_run_after_a_resize_begins_with_it_and_so_do_its_counters(site: Site, is_open_twice: bool) -> None:
    site.samples.exporter("node01")
    old = {"state": 1, "time_end": 0} if is_open_twice else {"state": RESIZING}
    site.job(500, started=-400, ended=-200, tres_alloc="1=8,2=8000,4=1,5=8", **old)
    resized = int(site.samples.zero - 200)
    site.job(500, started=-400, time_submit=resized, time_eligible=resized)
    # Eight busy cores until the resize took four of them.
    site.samples.job(500, cpus=4, busy=1.0, since=-400)
    labels = {"instance": "node01:9798", "job": "slurm_job", "slurmjobid": "500", "user": "ann", "account": "phys"}
    for core in range(4, 8):
        site.samples.add(
            "slurm_job_core_usage_total", lambda at: 1e9 * (min(at, -200) + 400), since=-400, core=str(core), **labels
        )
    site.start(until=lambda: site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500))
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) == pytest.approx(1.0, abs=0.03)
    assert site.value("hpc_job_wasted_cpu_seconds", slurmjobid=500) == pytest.approx(0.0, abs=10.0)
    assert site.value("hpc_job_start_timestamp_seconds", slurmjobid=500) == resized
    # The limit of 36,000 s is the job's: it counts from before the resize.
    assert (site.value("hpc_job_time_limit_used_ratio", slurmjobid=500) or 0.0) * 36_000 >= 400
    assert site.value("hpc_user_jobs", user="ann", state="running") == 1
    assert site.value("hpc_user_allocated_cpus", user="ann") == 4
    assert site.value("hpc_node_allocated_cpus", node="node01") == 4
    runs = site.data("/jobs/500")["runs"]
    assert [run["state"] for run in runs] == ["resizing", "running"]
    assert [run["end_timestamp_seconds"] for run in runs] == [resized, None]


def test_the_counters_of_a_former_run_are_not_those_of_the_next(site: Site) -> None:
    site.job(500, started=-400, ended=-60, state=1024)
    site.job(500, started=-40)
    # The node's exporter was last scraped before the job was requeued.
    site.samples.job(500, since=-400, until=-70)
    site.job(501, started=-400)
    site.samples.job(501, since=-400)
    site.start(until=lambda: site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=501))
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) is None
    assert site.value("hpc_job_memory_used_bytes", slurmjobid=500) is None


def test_a_suspended_run_holds_and_wastes_no_cpus(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.samples.exporter("node01")
    site.samples.host("node01")
    gpus = "1=5,2=8000,4=1,5=5,1001=2"
    site.job(500, started=-400, state=SUSPENDED, time_suspended=int(site.samples.zero - 100), tres_alloc=gpus)
    site.job(501, started=-400, tres_alloc="1=16,2=8000,4=1,5=16")
    site.samples.job(500, cpus=5, since=-400, busy=0.75)
    site.samples.job(501, cpus=16, since=-400)
    site.start(until=lambda: site.value("hpc_user_used_cpus", user="ann"))
    assert site.value("hpc_node_allocated_cpus", node="node01") == 16
    assert site.value("hpc_user_allocated_cpus", user="ann") == 16
    assert site.value("hpc_job_allocated_cpus", slurmjobid=500) == 0
    assert site.value("hpc_job_wasted_cpus", slurmjobid=500) == 0
    # Its memory and GPUs are not given to others.
    assert site.value("hpc_node_allocated_memory_bytes", node="node01") == 2 * 8000 * 2**20
    assert site.value("hpc_user_allocated_gpus", user="ann") == 2
    assert site.value("hpc_job_wasted_gpus", slurmjobid=500) is None
    run = site.data("/jobs/500")["runs"][0]
    assert run["elapsed_seconds"] == pytest.approx(300, abs=1)
    assert (run["granted_cpus"], run["allocated_cpus"]) == (5, 0)


def test_a_run_of_several_nodes_never_fills_a_node_beyond_its_size(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    for node in ("node01", "node02", "node03"):
        site.samples.exporter(node)
        site.samples.host(node, cpus=32)
    site.job(500, nodelist="node[01-02]", nodes_alloc=2, tres_alloc="1=40,2=8000,4=2,5=40")
    site.job(501, nodelist="node01", tres_alloc="1=14,2=8000,4=1,5=14")
    site.job(502, nodelist="node03", tres_alloc="1=4,2=8000,4=1,5=4")
    # What node_exporter shows of the nodes' size may come a refresh later.
    site.start(until=lambda: site.value("hpc_node_allocated_cpus", node="node01") == 32)
    held = {node: site.value("hpc_node_allocated_cpus", node=node) for node in ("node01", "node02", "node03")}
    assert held == {"node01": 32, "node02": 22, "node03": 4}
    estimated = [site.value("hpc_node_allocated_estimated", node=node) for node in held]
    assert estimated == [1, 1, 0]
    running = {run["job_id"]: run["on_node"] for run in site.data("/nodes/node01")["running"]}
    assert (running[500]["cpus"], running[501]["cpus"]) == (18, 14)
    assert (running[500]["estimated"], running[501]["estimated"]) == (True, False)


def test_memory_that_slurm_does_not_manage_is_not_allocated(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500, tres_alloc="1=4,2=1,4=1,5=4")
    site.samples.job(500, memory=5e9)
    site.job(501, id_assoc=12, account="chem", id_user=1002)
    site.samples.job(501, memory=4e9, user="cora", account="chem")
    site.start(until=lambda: site.value("hpc_job_memory_efficiency_ratio", slurmjobid=501))
    for family in ("allocated_memory_bytes", "memory_efficiency_ratio", "wasted_memory_bytes"):
        assert site.value(f"hpc_job_{family}", slurmjobid=500) is None
        assert site.value(f"hpc_job_{family}", slurmjobid=501) is not None
    assert site.value("hpc_job_memory_peak_bytes", slurmjobid=500) == 5e9
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) is not None
    assert site.value("hpc_user_allocated_memory_bytes", user="ann") is None
    assert site.value("hpc_user_allocated_memory_bytes", user="cora") == 8000 * 2**20
    run = site.data("/jobs/500")["runs"][0]
    assert (run["allocated_memory_bytes"], run["memory_efficiency_ratio"]) == (None, None)


def test_a_run_that_uses_many_times_what_it_holds_has_no_efficiency(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500, tres_alloc="1=1,2=100,4=1,5=1")
    site.samples.job(500, cpus=32, memory=5e9)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    assert site.value("hpc_job_cpu_efficiency_ratio", slurmjobid=500) is None
    assert site.value("hpc_job_memory_efficiency_ratio", slurmjobid=500) is None


def test_gpus_that_slurmdbd_does_not_track_are_noticed(site: Site) -> None:
    site.execute("DELETE FROM tres_table WHERE type='gres'")
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500)
    for index in "01":
        site.samples.gpu(500, index)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    site.wait(lambda: _feature(site, "gpus_agree") == 0, "the feature")
    assert _feature(site, "gpus") == 0
    for path in ("", "/jobs", "/jobs/500", "/nodes"):
        (warning,) = _warnings(site, path)
        assert "AccountingStorageTRES" in warning
    assert "exporters show GPUs of 1 running jobs" in _check(site)


def test_gpus_that_both_know_are_not_warned_of(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500, tres_alloc="1=4,2=8000,4=1,5=4,1001=1")
    site.samples.job(500)
    site.samples.gpu(500)
    site.start(until=lambda: _feature(site, "gpus_agree") == 1)
    assert _feature(site, "gpus") == 1
    assert _warnings(site, "/jobs") == []
    assert "exporters show GPUs" not in _check(site)


def test_a_graph_of_impossible_times_is_an_answer(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500, started=-100, ended=-160)
    site.job(501, started=90)
    site.job(502, started=-100, time_end=4294967295, state=3)
    site.start()
    for job in (500, 501, 502):
        graph = site.data(f"/jobs/{job}/series?metric=cpu")
        assert graph["start_timestamp_seconds"] <= graph["end_timestamp_seconds"]
    late = int(site.samples.zero + 1000)
    assert site.data(f"/jobs/500/series?metric=cpu&start={late}")["result"] == []


def test_the_cluster_as_slurmctld_says(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    numbers = {"slurm_cpus_alloc": 20, "slurm_cpus_idle": 40, "slurm_cpus_other": 4, "slurm_cpus_total": 64,
               "slurm_gpus_alloc": 2, "slurm_gpus_total": 8, "slurm_queue_running": 3, "slurm_queue_pending": 5,
               "slurm_queue_pending_dependency": 2, "slurm_nodes_idle": 9}  # fmt: skip
    for name, number in numbers.items():
        site.samples.add(name, number, instance="ctl:8080", job="slurm")
    for node, state in (("node01", "mixed"), ("node02", "idle")):
        site.samples.add("slurm_node_state_info", 1, instance="ctl:8080", job="slurm", node=node, state=state)
    site.start(until=lambda: site.value("hpc_cluster_slurmctld_cpus", state="allocated"))

    def by_state(name: str) -> dict[str, float]:
        found = site.samples_of(f"hpc_cluster_slurmctld_{name}", cluster=site.cluster)
        return {dict(labels)["state"]: value for labels, value in found.items()}

    assert by_state("cpus") == {"allocated": 20, "idle": 40, "other": 4}
    assert site.value("hpc_cluster_slurmctld_capacity", resource="cpus") == 64
    assert site.value("hpc_cluster_slurmctld_capacity", resource="gpus") == 8
    assert by_state("jobs") == {"running": 3, "pending": 5}
    # Each node once, by its own state.
    assert by_state("nodes") == {"mixed": 1, "idle": 1}
    assert site.data("")["slurmctld"]["cpus"] == 64


def _feature(site: Site, name: str) -> float | None:
    return site.value("hpc_aggregator_source_feature", source="slurmacct", cluster=site.cluster, feature=name)


def _warnings(site: Site, path: str) -> list[str]:
    status, body = site.service.get(f"/api/v1/clusters/{site.cluster}{path}")
    assert status == 200
    found: list[str] = json.loads(body).get("warnings", [])
    return found


def _check(site: Site) -> str:
    command = [sys.executable, "-m", "aggregator", "check", f"--config.file={site.root}/config.yml", "--connect"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
