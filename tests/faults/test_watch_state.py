"""The state is a source like any other: silent, damaged or deleted, it holds up nothing, and comes back."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.blackhole import Blackhole
from tests.scenarios.energy import sums
from tests.scenarios.site import Site
from tests.scenarios.test_energy_meters import prepare, rapl

_USER, _PASSWORD = "faults", "only for tests"


@pytest.fixture
def server(site: Site) -> Iterator[Blackhole]:
    """Keep the state behind a server that does not answer yet."""
    name = f"state_{site.cluster}"
    site.mariadb.create_database(name)
    site.mariadb.create_user(_USER, _PASSWORD, [f"ALL ON `{name}`.*"])
    server = Blackhole(site.mariadb.port)
    url = f"mysql://{_USER}@127.0.0.1:{server.port}/{name}"
    site.config["state"] = {"url": url, "password": _PASSWORD}
    yield server
    server.close()
    site.mariadb.execute(f"DROP DATABASE `{name}`")


def state_up(site: Site) -> float | None:
    return site.value("hpc_aggregator_source_up", source="state")


def ask_for_ended_jobs(site: Site, count: int) -> float:
    """Ask for single jobs at once, and give how long the last answer took."""
    started = time.monotonic()
    threads = [threading.Thread(target=site.data, args=("/jobs/501",)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


@pytest.mark.soak
def test_a_state_that_accepts_and_never_answers_holds_up_nothing_and_comes_back(site: Site, server: Blackhole) -> None:
    site.job(500)
    site.job(501, ended=-100.0)
    site.start(until=lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500))
    site.wait(lambda: state_up(site) == 0.0, "a state that is down")
    assert ask_for_ended_jobs(site, 20) < 20.0
    assert site.service.get("/-/healthy")[0] == 200
    server.is_silent = False
    site.wait(lambda: state_up(site) == 1.0, "a state that is up")
    server.is_silent = True
    site.wait(lambda: state_up(site) == 0.0, "a state that is down")
    assert ask_for_ended_jobs(site, 20) < 20.0
    before = server.accepted
    site.refreshed(3)
    assert server.accepted - before < 10, "each refresh tries at most a few times"
    server.is_silent = False
    site.wait(lambda: state_up(site) == 1.0, "a state that is up")
    server.is_silent = True
    assert site.service.terminate(10) == 0


def damage(file: Path) -> None:
    """Write over the pages behind the first, which the service reads again and again."""
    size = file.stat().st_size
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(b"\xa5" * (size - 4096))


def kept(site: Site) -> list[Path]:
    return [path for path in site.root.glob("state.db.corrupt-*") if path.name.endswith("Z")]


def energy(site: Site) -> float:
    return sums(site, "energy")["users"]


def add_energy(site: Site) -> None:
    prepare(site, "slurm_job_exporter", "node_exporter")
    rapl(site, 100.0)
    site.job(500)
    site.samples.job(500)
    site.start(until=lambda: energy(site) > 0.0)


def test_a_state_that_is_damaged_is_set_aside_and_counters_do_not_go_back(site: Site) -> None:
    file = site.root / "state.db"
    file.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    add_energy(site)
    assert len(kept(site)) == site.value("hpc_aggregator_state_files_set_aside") == 1
    assert "the state was damaged and begins anew" in site.service.daemon.log.read_text()
    before = energy(site)
    for beside in site.root.glob("state.db-*"):
        beside.unlink(missing_ok=True)
    damage(file)
    site.wait(lambda: site.value("hpc_aggregator_state_files_set_aside") == 2 and state_up(site), "another new state")
    site.wait(lambda: site.value("hpc_aggregator_source_up", source="ledger"), "a ledger that goes on")
    assert energy(site) >= before
    kept(site)[0].unlink()


def test_a_state_that_is_deleted_underneath_is_written_again_from_memory(site: Site) -> None:
    add_energy(site)
    before = energy(site)
    for file in site.root.glob("state.db*"):
        file.unlink(missing_ok=True)
    log = site.service.daemon.log
    site.wait(
        lambda: "the ledger, it is written again from memory" in log.read_text(), "a ledger that is written again"
    )
    assert energy(site) >= before
    site.service.stop()
    site.service.start()
    site.wait(lambda: energy(site) > 0.0, "what is kept")
    assert energy(site) >= before
    assert kept(site) == []


def test_a_state_that_another_has_changed_is_named_and_left_alone(site: Site) -> None:
    """As a development version left it: stamped, without the tables of a migration that was put in below."""
    site.job(500)
    site.start()
    site.service.stop()
    with closing(sqlite3.connect(site.root / "state.db")) as connection, connection:
        connection.execute("DROP TABLE script")
        connection.execute("ALTER TABLE job_script DROP COLUMN redactions")
    site.service.daemon.launch()
    site.wait(lambda: not site.service.daemon.running, "a refused start")
    said = site.service.daemon.tail()
    assert "lack script, job_script.redactions: a development version made them" in said
    assert kept(site) == []
