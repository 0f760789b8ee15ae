"""The main path when its parts fail: it answers on, says so, and comes back by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lab import Lab, wait_until
from tests.lab.process import lab_environment
from tests.lab.service import Service

pytestmark = pytest.mark.lab

REPOSITORY = Path(__file__).resolve().parents[2]


def up(service: Service, source: str) -> float | None:
    return service.value("hpc_aggregator_source_up", source=source)


def handles(service: Service) -> int:
    return len(os.listdir(f"/proc/{service.daemon.pid}/fd"))


def resident_bytes(service: Service) -> int:
    return int(Path(f"/proc/{service.daemon.pid}/statm").read_text().split()[1]) * 4096


def test_mariadb_may_be_away_for_longer_than_data_stay_fresh(lab: Lab, service: Service) -> None:
    before, memory = handles(service), resident_bytes(service)
    lab.mariadb.kill()
    wait_until(lambda: up(service, "slurmacct") == 0, 60, "the source to be down")
    assert service.samples("hpc_job_allocated_cpus"), "the last good data are served"
    assert service.get("/-/healthy")[0] == 200
    wait_until(lambda: not service.samples("hpc_job_allocated_cpus"), 60, "stale data to disappear")
    status, body = service.get("/api/v1/clusters/lab/jobs")
    assert status == 503
    assert b"clusters.lab.slurmacct: cannot connect" in body
    lab.mariadb.start()
    wait_until(lambda: bool(service.samples("hpc_job_used_cpus")), 60, "data to return by themselves")
    wait_until(lambda: up(service, "slurmacct") == 1 and up(service, "robinhood") == 1, 60, "the sources to be up")
    wait_until(lambda: handles(service) <= before + 5, 60, "the connections to be closed")
    assert resident_bytes(service) < 1.3 * memory
    ((connections,),) = lab.mariadb.execute(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user='aggregator'"
    )
    assert connections <= 8


def test_prometheus_may_be_away(lab: Lab, service: Service) -> None:
    before = handles(service)
    lab.wait_quiet()
    lab.prometheus.kill()
    wait_until(lambda: up(service, "prometheus") == 0, 60, "the source to be down")
    wait_until(lambda: not service.samples("hpc_job_used_cpus"), 60, "stale use to disappear")
    assert service.samples("hpc_job_allocated_cpus"), "allocations do not come from Prometheus"
    lab.prometheus.start()
    wait_until(lambda: bool(service.samples("hpc_job_used_cpus")), 60, "use to return by itself")
    wait_until(lambda: handles(service) <= before + 5, 60, "the connections to be closed")


def test_a_wrong_configuration_is_refused_at_reload_and_the_old_one_stays(lab: Lab, service: Service) -> None:
    path = lab.root / "config.yml"
    good = path.read_text()
    path.write_text(good + "clustres: {}\n")
    try:
        status, body = service.get("/-/reload", method="POST")
        assert status == 500
        assert b"clustres: unknown key" in body
        assert service.value("hpc_aggregator_config_last_reload_successful") == 0
        assert service.samples("hpc_job_allocated_cpus")
    finally:
        path.write_text(good)
    service.daemon.hang_up()
    wait_until(lambda: service.value("hpc_aggregator_config_last_reload_successful") == 1, 60, "the reload")
    wait_until(lambda: bool(service.samples("hpc_job_used_cpus")), 60, "the join after the reload")


def run(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aggregator", *arguments],
        env=lab_environment(lab.root, PYTHONPATH=str(REPOSITORY)),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_it_does_not_listen_beyond_loopback_without_auth(lab: Lab) -> None:
    config = lab.write_config(lab.root / "open.yml", extra={"server": {"listen_address": ":0"}})
    done = run(lab, "serve", f"--config.file={config}")
    assert done.returncode == 2
    assert "server.listen_address: :0 can be reached from other machines and no auth is configured" in done.stderr


def test_check_connect_tries_every_source(lab: Lab, service: Service) -> None:
    good = run(lab, "check", f"--config.file={lab.write_config(lab.root / 'check.yml')}", "--connect")
    assert (good.returncode, good.stderr) == (0, "")
    assert "up   clusters.lab.slurmacct" in good.stdout
    config = yaml.safe_load((lab.root / "check.yml").read_text())
    config["clusters"] = {"Lab": config["clusters"]["lab"]}
    config["filesystems"] = {name: each | {"cluster": "Lab"} for name, each in config["filesystems"].items()}
    (lab.root / "wrong.yml").write_text(yaml.safe_dump(config))
    wrong = run(lab, "check", f"--config.file={lab.root / 'wrong.yml'}", "--connect")
    assert wrong.returncode == 1
    assert "the database has no cluster 'Lab'; it has: lab" in wrong.stdout


def test_sigterm_ends_it_before_it_would_be_killed_and_closes_its_connections(lab: Lab, service: Service) -> None:
    """The chart gives its pod 10 s."""
    assert service.terminate(timeout=10) == 0
    wait_until(
        lambda: lab.mariadb.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user='aggregator'")
        == [(0,)],
        60,
        "the connections to be closed",
    )  # fmt: skip
    service.start_and_join(lab.jobs["requeued"])
