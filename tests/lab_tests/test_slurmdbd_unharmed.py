"""slurmdbd restarts, alters its tables and takes a thousand jobs while we read at our fastest, unharmed."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.databases import USER
from tests.lab.ports import free_port
from tests.lab.service import Service
from tests.lab.site import EXPORTERS, site_sections
from tests.lab.slurm import DATABASE

pytestmark = pytest.mark.lab

JOBS = 1000
LONGEST_TRANSACTION = 2
# Whom somebody waits for: row locks. Metadata locks show in the process list only, without the one who holds them.
_BLOCKERS = """
SELECT blocker.user FROM information_schema.innodb_lock_waits waits
JOIN information_schema.innodb_trx trx ON trx.trx_id = waits.blocking_trx_id
JOIN information_schema.processlist blocker ON blocker.id = trx.trx_mysql_thread_id
"""
_SUMMARY = "performance_schema.events_transactions_summary_by_user_by_event_name"
# In picoseconds, as the server times each of them; the second is about what is open now.
_LONGEST_TRANSACTION = f"""
SELECT CAST(MAX(timer) AS DOUBLE) / 1e12 FROM (
  SELECT COALESCE(MAX(max_timer_wait), 0) AS timer FROM {_SUMMARY} WHERE user = '{USER}'
  UNION ALL
  SELECT COALESCE(MAX(current.timer_wait), 0) FROM performance_schema.events_transactions_current current
  JOIN performance_schema.threads thread USING (thread_id)
  WHERE current.state = 'ACTIVE' AND thread.processlist_user = '{USER}'
) timers
"""
_WAITING_FOR_METADATA = """
SELECT time_ms FROM information_schema.processlist
WHERE user = 'slurm' AND state LIKE 'Waiting for table metadata lock%'
"""


@dataclass
class Watch:
    """What was seen in the server while it was watched."""

    samples: int = 0
    blockers: list[str] = field(default_factory=list)
    longest_transaction: float = 0.0
    waits_ms: list[float] = field(default_factory=list)


@contextmanager
def watched(lab: Lab) -> Iterator[Watch]:
    """Look into the server as often as it answers."""
    watch, ended = Watch(), threading.Event()

    def look() -> None:
        with closing(lab.mariadb.connect()) as connection, connection.cursor() as cursor:

            def ask(sql: str) -> list[Any]:
                cursor.execute(sql)
                return [value for (value,) in cursor.fetchall()]

            cursor.execute(f"TRUNCATE TABLE {_SUMMARY}")
            while not ended.wait(0.01):
                watch.blockers += ask(_BLOCKERS)
                watch.waits_ms += map(float, ask(_WAITING_FOR_METADATA))
                watch.samples += 1
            watch.longest_transaction = float(*ask(_LONGEST_TRANSACTION))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def fast(lab: Lab, service: Service) -> Iterator[Service]:
    """Start a second service that refreshes without a pause, as far as the machine goes."""
    port = free_port()
    sections = site_sections(lab.root) | {
        "server": {"listen_address": f"127.0.0.1:{port}"},
        "state": {"url": f"sqlite:///{lab.root}/fast.db"},
    }
    config = lab.write_config(
        lab.root / "fast.yml", interval="50ms", stale_after="20s", exporters=EXPORTERS, extra=sections
    )
    started = Service(lab, config, port=port)
    started.start_and_join(lab.jobs["plain"])
    yield started
    started.stop()


def assert_unharmed(lab: Lab, watch: Watch) -> None:
    assert watch.samples > 20
    assert USER not in watch.blockers
    assert 0 < watch.longest_transaction < LONGEST_TRANSACTION
    # Our statements take milliseconds, and an ALTER waits for those that are under way.
    assert max(watch.waits_ms, default=0.0) < LONGEST_TRANSACTION * 1000
    log = (lab.slurm.folder / "slurmdbd.log").read_text()
    assert "Lock wait timeout" not in log
    assert "fatal" not in log


def test_it_restarts_and_alters_its_tables_without_waiting_for_us(lab: Lab, fast: Service) -> None:
    """An index that is not its own makes slurmdbd rebuild the job table when it starts."""
    lab.mariadb.execute("ALTER TABLE lab_job_table ADD INDEX ours (time_submit, id_user)", DATABASE)
    with watched(lab) as watch:
        lab.slurm.slurmdbd.stop()
        lab.slurm.slurmdbd.start()
        seen = fast.value("hpc_aggregator_snapshot_timestamp_seconds", cluster="lab") or 0.0
        wait_until(lambda: (success(fast) or 0) > seen + 1, 60, "fetches after the restart")
        wait_until(lambda: watch.samples > 20, 60, "more than a few looks")

    indexes = lab.mariadb.execute("SHOW INDEX FROM lab_job_table WHERE Key_name = 'ours'", DATABASE)
    assert indexes == [], "slurmdbd has altered the table"
    assert_unharmed(lab, watch)


def success(service: Service) -> float | None:
    return service.value("hpc_aggregator_source_last_success_timestamp_seconds", source="slurmacct", cluster="lab")


def test_it_takes_a_thousand_jobs(lab: Lab, fast: Service) -> None:
    with watched(lab) as watch:
        array = lab.slurm.submit(["-J", "many", f"--array=0-{JOBS - 1}", "-n1", "--mem=10M"], "bob", command="true")
        wait_until(lambda: ended(lab, array) >= JOBS, 480, f"{JOBS} tasks to end")
        wait_until(lambda: shown(fast, array) == JOBS, 120, "the service to have seen them all")

    assert_unharmed(lab, watch)


def ended(lab: Lab, array: int) -> int:
    rows = lab.mariadb.execute(
        f"SELECT COUNT(*) FROM lab_job_table WHERE id_array_job = {array} AND time_end > 0", DATABASE
    )
    return int(rows[0][0])


def shown(service: Service, array: int) -> int:
    runs = service.data(f"/api/v1/clusters/lab/jobs/{array}")["runs"]
    return sum(1 for run in runs if run["state"] == "completed")
