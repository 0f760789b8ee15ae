"""What each command imports: who asks for help, checks a file or makes a token does not wait for the service."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]
SERVICE = {"aiohttp", "aiomysql", "alembic", "asyncio", "cryptography", "isal", "jwt", "orjson", "polars", "sqlalchemy"}
# What reads and checks files is needed by some of the commands.
FILES = {"pydantic", "yaml"}
PROGRAM = """
import sys
from aggregator.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), sep="\\n", file=sys.stderr)
"""
CONFIG = """
clusters:
  narval:
    slurmacct: {host: db.example.org, user: reader, tls: {}}
    prometheus: {url: "https://prometheus.example.org", tls: {}}
    exporters: {slurm_job_exporter: {}}
filesystems:
  project: {robinhood: {host: db.example.org, user: reader, database: rbh, tls: {}}}
auth: {tokens: {file: tokens.yml}}
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    """Run a command in a process of its own, and name the top-level packages that it imported."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hpc-aggregator.yml").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [["--help"], ["--version"], ["serve", "--help"], ["check", "--help"], ["demo", "--help"], ["token", "--help"],
     ["token", "create", "--help"], ["completion", "bash"], ["rules", "--output", "rules"],
     ["explain", "--help"], ["jobs", "--help"], ["digest", "--url=http://127.0.0.1:1", "--quiet-if-down"]],
    ids=" ".join,
)  # fmt: skip
def test_what_reads_no_file_imports_neither_the_service_nor_what_reads_files(folder: Path, command: list[str]) -> None:
    assert imported(folder, *command) & (SERVICE | FILES) == set()


@pytest.mark.parametrize(
    "command",
    [["check"], ["check", "--json"], ["token", "create", "--name=x", "--scope=metrics"],
     ["token", "create", "--name=x", "--scope=metrics", "--tokens.file=mine.yml"]],
    ids=" ".join,
)  # fmt: skip
def test_what_reads_files_does_not_import_the_service(folder: Path, command: list[str]) -> None:
    (folder / "tokens.yml").touch()
    found = imported(folder, *command)
    assert found & SERVICE == set()
    assert found >= FILES


def test_listing_and_revoking_tokens_does_not_import_the_service(folder: Path) -> None:
    imported(folder, "token", "create", "--name=x", "--scope=metrics")
    token = (folder / "tokens.yml").read_text().partition("id: ")[2].split()[0]
    assert imported(folder, "token", "list") & SERVICE == set()
    assert imported(folder, "token", "revoke", token) & SERVICE == set()


ANSWERS = {
    "/clusters": {"clusters": [{"cluster": "narval"}]},
    "/clusters/narval/jobs": {"jobs": [], "next_cursor": None, "total": 0},
}


@pytest.fixture
def url() -> Iterator[str]:
    """A service that has one cluster, which is idle."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/api/v1")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"status": "success", "data": ANSWERS[path]}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("command", [["jobs", "--json"], ["waste", "--csv"]], ids=" ".join)
def test_what_draws_nothing_does_not_import_rich(folder: Path, url: str, command: list[str]) -> None:
    assert imported(folder, *command, f"--url={url}") & (SERVICE | FILES | {"rich", "tomllib"}) == set()


def test_what_draws_imports_rich_and_nothing_of_the_service(folder: Path, url: str) -> None:
    found = imported(folder, "jobs", f"--url={url}")
    assert found & (SERVICE | FILES) == set()
    assert "rich" in found


def test_serve_does_import_the_service() -> None:
    """What the others do without is really there, under these names."""
    program = "import sys, aggregator.app.serve; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) >= (SERVICE | FILES) - {"polars"}
