"""The lab itself: what it promises to the other tests. It crashes servers in the end."""

import time
from contextlib import closing

import pymysql
import pytest

from tests.lab import Lab, wait_until
from tests.lab.behaviours import BEHAVIOURS, DCGM_BLANK, DEFAULT
from tests.lab.jobs import LATIN1_NAME, LONG_NAME, PENDING, WEIRD_NAME
from tests.lab.ports import LOOPBACK
from tests.lab.simulators import Fault

pytestmark = pytest.mark.lab


def _rows(lab: Lab, columns: str, where: str) -> list[tuple]:
    return lab.mariadb.execute(f"SELECT {columns} FROM lab_job_table WHERE {where}", "slurm_acct_db")


def test_every_running_job_has_an_open_row_in_slurmacct(lab: Lab) -> None:
    def running() -> set[int]:
        return {int(row["id"]) for row in lab.slurm.squeue() if row["state"] == "RUNNING"}

    def accounted() -> set[int]:
        return {row[0] for row in _rows(lab, "id_job", "state=1 AND time_start>0 AND time_end=0")}

    # An array's three tasks, both components of the heterogeneous job, and twelve others; other tests may add to them.
    assert len(running()) >= 17
    wait_until(lambda: accounted() == running(), 60, "the running jobs in slurmacct")


def test_pending_jobs_stay_pending(lab: Lab) -> None:
    states = {row["id"]: row["state"] for row in lab.slurm.squeue()}

    assert {states[str(lab.jobs[name])] for name in PENDING} == {"PENDING"}


def test_the_requeued_job_has_two_rows(lab: Lab) -> None:
    states = [row[0] for row in _rows(lab, "state", f"id_job={lab.jobs['requeued']} ORDER BY time_submit")]

    assert states == [1024, 1]


def test_names_reach_slurmacct_as_the_bytes_that_users_wrote(lab: Lab) -> None:
    def name(job: str) -> bytes:
        return _rows(lab, "CAST(job_name AS BINARY)", f"id_job={lab.jobs[job]}")[0][0]

    # slurmctld's accounting writes a backtick for a double quote.
    assert name("weird_name") == WEIRD_NAME.replace('"', "`").encode()
    assert name("long_name") == LONG_NAME.encode()
    assert name("latin1_name") == LATIN1_NAME


def test_prometheus_has_the_memory_of_a_running_job(lab: Lab) -> None:
    job = f'cluster="lab",slurmjobid="{lab.jobs["multi_node"]}"'

    def by_node() -> list[float]:
        return [float(series["value"][1]) for series in lab.prometheus.query(f"slurm_job_memory_rss{{{job}}}")]

    wait_until(lambda: by_node() == [BEHAVIOURS["multi_node"].rss(8)] * 2, 60, "the memory on both nodes")


def test_the_cpu_counters_grow_as_the_behaviour_says(lab: Lab) -> None:
    # Between the last two samples: rate() would extrapolate over a window that is not yet full.
    rate = f'sum(irate(slurm_job_core_usage_total{{slurmjobid="{lab.jobs["plain"]}"}}[5s])) / 1e9'
    # A scrape that a busy machine answers late has values of a later time than its own.
    expected = pytest.approx(4 * BEHAVIOURS["plain"].cpu, rel=0.1)
    wait_until(lambda: lab.prometheus.value(rate) == expected, 60, "two samples of the counters")


def test_gpu_series_follow_the_behaviours(lab: Lab) -> None:
    def utilizations(name: str) -> set[float]:
        found = lab.prometheus.query(f'slurm_job_utilization_gpu{{slurmjobid="{lab.jobs[name]}"}}')
        return {float(series["value"][1]) for series in found}

    wait_until(lambda: utilizations("gpu_busy") == {95.0, 85.0}, 60, "the busy GPUs")
    wait_until(lambda: utilizations("gpu_quiet") == {0.0}, 60, "the quiet GPU")
    assert utilizations("gpu_idle") == set()


def test_a_job_without_processes_has_no_series(lab: Lab) -> None:
    assert lab.prometheus.query(f'slurm_job_memory_rss{{slurmjobid="{lab.jobs["silent"]}"}}') == []


def test_faults_are_seen_at_the_next_scrape(lab: Lab) -> None:
    job = f'slurmjobid="{lab.jobs["gpu_busy"]}"'
    node = lab.prometheus.query(f"slurm_job_memory_rss{{{job}}}")[0]["metric"]["instance"].partition(":")[0]
    for fault, expression in (
        (Fault.BLANK, f"slurm_job_utilization_gpu{{{job}}} == {DCGM_BLANK}"),
        (Fault.DUPLICATE, f'slurm_job_memory_rss{{{job},account="error"}}'),
        (Fault.DOWN, f'up{{job="slurm-job-exporter",instance="{node}:9798"}} == 0'),
    ):
        lab.simulators.set_fault(node, fault)
        wait_until(lambda: bool(lab.prometheus.query(expression)), 60, f"{fault} to be seen")  # noqa: B023
        lab.simulators.set_fault(node, fault, active=False)
        wait_until(lambda: not lab.prometheus.query(expression), 60, f"{fault} to go")  # noqa: B023


def test_a_new_job_appears_everywhere(lab: Lab) -> None:
    job_id = lab.slurm.submit(["-n2"], "carol")
    lab.slurm.wait_state(job_id, "RUNNING")
    rss = f'slurm_job_memory_rss{{slurmjobid="{job_id}"}}'
    wait_until(lambda: lab.prometheus.value(rss) == DEFAULT.rss(2), 60, "the new job in Prometheus")
    wait_until(lambda: bool(_rows(lab, "1", f"id_job={job_id} AND state=1")), 60, "the new job in slurmacct")
    lab.slurm.scancel(str(job_id))
    lab.slurm.wait_state(job_id, "CANCELLED")
    wait_until(lambda: bool(_rows(lab, "1", f"id_job={job_id} AND time_end>0")), 60, "its end in slurmacct")


def test_the_services_user_reads_and_cannot_write(lab: Lab) -> None:
    account = {"host": LOOPBACK, "port": lab.mariadb.port, "user": "aggregator"}
    password = lab.password_file.read_text().strip()
    with closing(pymysql.connect(**account, password=password)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM robinhood_project.ACCT_STAT")
        with_status = cursor.fetchone()[0]
        cursor.execute("SELECT COUNT(*) FROM robinhood_plain.ACCT_STAT")
        assert 0 < cursor.fetchone()[0] < with_status
        for statement in (
            "UPDATE slurm_acct_db.lab_job_table SET state=3",
            "DELETE FROM robinhood_project.ACCT_STAT",
            "CREATE TABLE slurm_acct_db.extra (id int)",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_servers_can_crash_and_start_again(lab: Lab) -> None:
    plain = f"id_job={lab.jobs['plain']}"
    _save_state(lab)
    for server in (
        lab.mariadb,
        lab.slurm.slurmdbd,
        lab.slurm.slurmctld,
        lab.slurm.slurmd["node01"],
    ):
        server.kill()
        server.start()
    lab.wait_quiet()
    lab.prometheus.kill()
    lab.prometheus.start()

    assert _rows(lab, "state", plain) == [(1,)]
    assert lab.prometheus.query("slurm_job_memory_rss")
    job_id = lab.slurm.submit(["-n1"], "carol", command="true")
    wait_until(lambda: bool(_rows(lab, "1", f"id_job={job_id} AND state=3")), 60, "a new job to end in slurmacct")
    lab.wait_accounted()


def _save_state(lab: Lab) -> None:
    """Let slurmctld write what it knows: one that is killed before believes for minutes that an ended job runs."""
    since = time.time()
    lab.slurm.scontrol("update", f"jobid={lab.jobs['held']}", "comment=saved")
    wait_until(lambda: (lab.slurm.folder / "state" / "job_state").stat().st_mtime > since, 60, "slurmctld to save")
