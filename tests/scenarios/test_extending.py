"""docs/extending.md: its two worked examples, taken from the page and run by the service itself."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.extending import gauge_files, install, package_files, write
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Site

ROOT = Path(__file__).parents[2]
LICENCES = [{"feature": "abaqus", "installed": 50, "used": 31}, {"feature": "matlab", "installed": 9, "used": 0}]
FAMILIES = ("hpc_licence_installed", "hpc_licence_used", "hpc_licence_held")


class LicenceServer(ThreadingHTTPServer):
    """Answer with LICENCES."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.url = f"http://{LOOPBACK}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(LICENCES).encode()
        self.send_response(200 if self.path == "/licences" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(server: LicenceServer) -> Iterator[None]:
    """Answer while the body runs; afterwards nothing listens any more."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package of the page; give the folder in which it is."""
    target = tmp_path_factory.mktemp("installed") / "site-packages"
    install(package_files(), target)
    return target


def run(command: list[str], *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with these folders before all others."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, cwd=folders[0], check=False
    )


def use_folders(site: Site, *folders: Path) -> None:
    site.environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))


def check(site: Site, *flags: str, folders: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    file = site.root / "checked.yml"
    file.write_text(yaml.safe_dump(site.config, sort_keys=False))
    return run(["-m", "aggregator", "check", f"--config.file={file}", *flags], *folders)


def test_a_gauge_of_a_job_is_one_file(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "aggregator", tree / "aggregator", ignore=shutil.ignore_patterns("__pycache__"))
    assert len(gauge_files()) == 1
    write(gauge_files(), tree)
    site.use_exporters("slurm_job_exporter", "io_job_exporter")
    site.samples.exporter("node01")
    site.job(500, nodes_alloc=2, nodelist="node[01-02]")
    site.job(501)
    for node, job_id, files in (("node01", 500, 12.0), ("node02", 500, 30.0), ("node09", 500, 7.0)):
        site.samples.add("io_job_open_files", files, instance=f"{node}:9100", slurmjobid=str(job_id))
    use_folders(site, tree)
    site.start(until=lambda: site.value("hpc_job_open_files", slurmjobid=500))
    # A node that is not the job's adds nothing.
    assert site.value("hpc_job_open_files", slurmjobid=500) == 42.0
    assert site.value("hpc_job_coverage_ratio", slurmjobid=500, input="open_files") == 1.0
    (shown,) = site.data("/jobs/500")["runs"]
    assert (shown["open_files"], shown["coverage"]["open_files"]) == (42.0, 1.0)
    # What the exporter does not show is not 0.
    assert site.value("hpc_job_open_files", slurmjobid=501) is None
    assert site.data("/jobs/501")["runs"][0]["open_files"] is None
    assert site.value("hpc_aggregator_source_up", source="gauges", cluster=site.cluster) == 1.0
    said = check(site, "--connect", folders=(tree,))
    assert "io_job_exporter 3 series on 3 nodes" in said.stdout
    page = run(["-c", "from tests.contract.metrics_page import metrics_page; print(metrics_page())"], tree, ROOT)
    assert "| `hpc_job_open_files` | gauge | cluster, slurmjobid, user, account | Files that" in page.stdout


def test_a_part_of_another_package_is_as_ours_are(site: Site, installed: Path) -> None:
    server = LicenceServer()
    site.config["refresh"]["stale_after"] = "3s"
    site.settings["parts"] = {"licences": {"url": server.url}}
    site.insert("tres_table", [{"creation_time": 1, "deleted": 0, "id": 1003, "type": "license", "name": "abaqus"}])
    site.job(500, tres_alloc="1=4,2=8000,4=1,5=4,1003=3")
    use_folders(site, installed, ROOT)
    with serving(server):
        site.start(until=lambda: site.value("hpc_licence_held", feature="abaqus"))
        of_abaqus = {family: site.value(family, feature="abaqus", cluster=site.cluster) for family in FAMILIES}
        assert list(of_abaqus.values()) == [50.0, 31.0, 3.0]
        assert site.value("hpc_licence_held", feature="matlab") == 0.0
        _check_page(site)
        _check_list(site)
        said = check(site, "--connect", folders=(installed, ROOT))
        assert f"up   clusters.{site.cluster}.parts.licences" in said.stdout
    _check_without_the_server(site, installed)
    _check_reload(site)


def _check_page(site: Site) -> None:
    page = site.service.get("/metrics?collect[]=licences")[1].decode()
    assert "# HELP hpc_licence_used Licences that are checked out, by jobs or others.\n" in page
    assert "# TYPE hpc_licence_used gauge\n" in page
    assert "hpc_job_" not in page


def _check_list(site: Site) -> None:
    first = site.data("/licences?limit=1")
    assert first["licences"] == [{"feature": "abaqus", "installed": 50.0, "used": 31.0, "held": 3.0}]
    assert [row["feature"] for row in site.data(f"/licences?cursor={first['next_cursor']}")["licences"]] == ["matlab"]
    assert site.data("/licences?feature=matlab") == {
        "licences": [{"feature": "matlab", "installed": 9.0, "used": 0.0, "held": 0.0}], "next_cursor": None,
        "total": 1,
    }  # fmt: skip
    status, body = site.service.get(f"/api/v1/clusters/{site.cluster}/licences?featur=matlab")
    assert (status, "featur: no such parameter, did you mean feature?" in body.decode()) == (400, True)
    assert ("licences", True) in [
        (each["source"], each["up"]) for each in site.service.data("/api/v1/status")["sources"]
    ]


def _check_without_the_server(site: Site, installed: Path) -> None:
    """See that nothing is said of licences, and all else goes on."""
    site.wait(lambda: not site.samples_of("hpc_licence_used"), "no sample of an old answer")
    assert not any(site.samples_of(family) for family in FAMILIES)
    assert site.value("hpc_aggregator_source_up", source="licences", cluster=site.cluster) == 0.0
    status, body = site.service.get(f"/api/v1/clusters/{site.cluster}/licences")
    assert (status, f"clusters.{site.cluster}.parts.licences.url: cannot read" in body.decode()) == (503, True)
    site.refreshed(2)
    assert site.value("hpc_job_allocated_cpus", slurmjobid=500) == 4.0
    said = check(site, "--connect", folders=(installed, ROOT))
    assert (said.returncode, f"down clusters.{site.cluster}.parts.licences.url: cannot read" in said.stdout) == (
        1,
        True,
    )


def _check_reload(site: Site) -> None:
    """See that a reload takes up another server, and that the part is not read where it is not named."""
    other = LicenceServer()
    file = site.root / "config.yml"
    with serving(other):
        site.settings["parts"] = {"licences": {"url": other.url, "features": ["matlab"]}}
        file.write_text(yaml.safe_dump(site.config, sort_keys=False))
        assert site.service.get("/-/reload", method="POST")[0] == 200
        site.wait(lambda: site.samples_of("hpc_licence_installed"), "the other server")
        assert site.value("hpc_licence_installed", feature="abaqus") is None
        del site.settings["parts"]
        file.write_text(yaml.safe_dump(site.config, sort_keys=False))
        assert site.service.get("/-/reload", method="POST")[0] == 200
        site.wait(lambda: not site.samples_of("hpc_licence_installed"), "a part that is not named")
        assert site.service.get(f"/api/v1/clusters/{site.cluster}/licences")[0] == 404
        assert not site.samples_of("hpc_aggregator_source_up", source="licences")


def test_the_part_is_documented_by_a_command(installed: Path) -> None:
    said = run(["-m", "aggregator", "parts"], installed, ROOT)
    assert said.stdout.startswith("# licences (hpc-licences 0.1)\n"), said.stderr
    assert "Section `clusters.<name>.parts.licences`: `url` (required), `timeout`, `features`" in said.stdout
    assert "| `hpc_licence_used` | gauge | cluster, feature | Licences that are checked out" in said.stdout
    assert "`GET /api/v1/clusters/{cluster}/licences`" in said.stdout


def test_the_package_s_own_tests_of_the_page_pass(installed: Path, tmp_path: Path) -> None:
    write(package_files(), tmp_path)
    said = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "tests")], installed, ROOT)
    assert (said.returncode, "2 passed" in said.stdout) == (0, True), said.stdout + said.stderr


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"licences": {"ulr": "http://x"}}, 'parts.licences.ulr: unknown key (did you mean "url"?)'),
        ({"licences": {}}, "parts.licences.url: required"),
        ({"tapes": {}}, "parts.tapes: no part of this name is installed (known: licences)"),
    ],
)
def test_a_mistake_in_the_section_of_a_part_is_named(
    section: dict[str, Any], said: str, installed: Path, tmp_path: Path
) -> None:
    cluster = {"slurmacct": {"host": "db", "user": "a", "password": "b"}, "prometheus": {"url": "http://p:9090"}}
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump({"clusters": {"narval": {**cluster, "parts": section}}}))
    found = run(["-m", "aggregator", "check", f"--config.file={file}"], installed, ROOT)
    assert (found.returncode, said in found.stderr) == (2, True), found.stderr
