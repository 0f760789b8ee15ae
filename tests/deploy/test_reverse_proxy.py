"""The examples of docs/reverse-proxy.md on a real nginx and a real Apache, in front of the running service."""

import base64
import json
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import bcrypt
import pytest
import yaml

from aggregator.cli import main
from tests.deploy.chart import ROOT
from tests.lab.packages import ensure_packages, program
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, lab_environment

PAGE = (ROOT / "docs" / "reverse-proxy.md").read_text()
USER, PASSWORD, OTHER = "ann", "only for tests", "root"


def example(kind: str) -> str:
    """Give the one block of a kind of the page."""
    (block,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


@dataclass(frozen=True)
class Place:
    """A folder with the certificate and the passwords, and the port of the service."""

    folder: Path
    service_port: int
    token: str

    def adapted(self, text: str, port: int) -> str:
        """Put names and ports of the test into an example; each is there."""
        folder = self.folder
        for old, new in (
            (r"/etc/ssl/certs/\S+\.pem", f"{folder}/proxy.crt"),
            (r"/etc/ssl/private/\S+\.key", f"{folder}/proxy.key"),
            (r"/etc/(nginx|apache2)/hpc\.htpasswd", f"{folder}/htpasswd"),
            (r"127\.0\.0\.1:9850", f"{LOOPBACK}:{self.service_port}"),
            (r"listen 443 ssl|\*:443", f"listen {LOOPBACK}:{port} ssl" if "listen" in text else f"{LOOPBACK}:{port}"),
        ):
            text, count = re.subn(old, new, text)
            assert count, old
        return text


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that Apache's own user can read."""
    with TemporaryDirectory(prefix="hpc-aggregator-proxy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[Place]:
    """Run the service as the page configures it."""
    port = free_port()
    ensure_packages(["openssl"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=proxy",
         "-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", folder / "proxy.key", "-out", folder / "proxy.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{USER}:{hashed.replace('$2b$', '$2y$')}\n")
    config = yaml.safe_load(example("yaml"))
    config["server"]["listen_address"] = f"{LOOPBACK}:{port}"
    config["state"] = {"url": f"sqlite:///{folder}/state.db"}
    # A cluster that cannot be reached: who asks is found out all the same.
    config["clusters"] = {"narval": {
        "slurmacct": {"host": LOOPBACK, "port": free_port(), "user": "a"},
        "prometheus": {"url": f"http://{LOOPBACK}:{free_port()}"}, "exporters": {"slurm_job_exporter": {}},
    }}  # fmt: skip
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    token = _token(folder)
    service = Daemon(
        "hpc-aggregator", [sys.executable, "-m", "aggregator", "serve", f"--config.file={folder}/config.yml"],
        log=folder / "service.log", env=lab_environment(folder, PYTHONPATH=str(ROOT)), ready=lambda: answers(port),
    )  # fmt: skip
    service.start()
    yield Place(folder, port, token)
    service.stop()


def _token(folder: Path) -> str:
    command = [sys.executable, "-m", "aggregator", "token", "create", f"--config.file={folder}/config.yml"]
    done = subprocess.run(
        [*command, "--name=portal", "--scope=read:all"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.split()[-1]


def nginx(place: Place, port: int) -> list[str]:
    """Write nginx's configuration around the example; give the command."""
    ensure_packages(["nginx-light"])
    folder = place.folder
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/nginx-{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\nevents {{}}\n"
        f"http {{ access_log off;\n{paths}{place.adapted(example('nginx'), port)}}}\n"
    )
    return [program("nginx"), "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"]


def apache(place: Place, port: int) -> list[str]:
    """Write Apache's configuration around the example, with the modules that the page names; give the command."""
    ensure_packages(["apache2"])
    folder = place.folder
    named = re.findall(r"`(\w+)`", next(line for line in PAGE.splitlines() if line.startswith("Modules:")))
    modules = ["mpm_event", "authn_core", "authz_core", "socache_shmcb", *named]
    loads = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules)
    (folder / "apache.conf").write_text(
        f"ServerName proxy\nServerRoot {folder}\nPidFile {folder}/apache.pid\nDefaultRuntimeDir {folder}\n{loads}"
        f"ErrorLog {folder}/apache.log\nUser www-data\nGroup www-data\nListen {LOOPBACK}:{port}\n"
        f"{place.adapted(example('apache'), port)}"
    )
    return [program("apache2"), "-D", "FOREGROUND", "-f", f"{folder}/apache.conf"]


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    url: str
    place: Place

    def get(self, path: str, password: str = "", **headers: str) -> tuple[int, str]:
        """Give the status and the body."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        if password:
            more["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
        context = ssl.create_default_context(cafile=self.place.folder / "proxy.crt")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        request = urllib.request.Request(self.url + path, headers={"Host": "hpc.example.org", **more})
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def who(self, path: str, password: str = "", **headers: str) -> tuple[str, str]:
        """Give the kind and the name of the identity that a request has."""
        status, body = self.get(path, password, **headers)
        assert status == 200, body
        found = json.loads(body)["data"]
        return found["kind"], found["name"]


@pytest.fixture(scope="module", params=[nginx, apache], ids=["nginx", "apache"])
def proxy(request: pytest.FixtureRequest, place: Place) -> Iterator[Proxy]:
    port = free_port()
    write: Callable[[Place, int], list[str]] = request.param
    daemon = Daemon(
        write.__name__, write(place, port), log=place.folder / "proxy.log",
        env=lab_environment(place.folder, APACHE_RUN_DIR=str(place.folder)), ready=lambda: answers(port),
    )  # fmt: skip
    daemon.start()
    yield Proxy(f"https://{LOOPBACK}:{port}", place)
    daemon.stop()


WHOAMI = "/aggregator/api/v1/whoami"


def test_who_logs_in_is_that_user(proxy: Proxy) -> None:
    assert proxy.who(WHOAMI, PASSWORD) == ("proxy", USER)


def test_a_header_of_the_client_never_counts(proxy: Proxy) -> None:
    assert proxy.who(WHOAMI, PASSWORD, X_Remote_User=OTHER) == ("proxy", USER)
    assert proxy.get(WHOAMI, X_Remote_User=OTHER)[0] == 401
    assert proxy.get("/aggregator-api/whoami", X_Remote_User=OTHER)[0] == 401
    assert proxy.who(
        "/aggregator-api/whoami", X_Remote_User=OTHER, Authorization=f"Bearer {proxy.place.token}"
    ) == ("token", "portal")  # fmt: skip


def test_without_a_login_nothing_is_shown(proxy: Proxy) -> None:
    assert proxy.get(WHOAMI)[0] == 401
    assert proxy.get(WHOAMI, "wrong")[0] == 401
    assert proxy.get("/aggregator-api/clusters", Authorization="Bearer hpca_wrong")[0] == 401


def test_what_is_inside_stays_inside(proxy: Proxy) -> None:
    for path in ("/aggregator/metrics", "/aggregator/-/reload", "/aggregator/-/healthy"):
        assert proxy.get(path, PASSWORD)[0] == 403, path


def test_the_landing_page_is_below_the_path(proxy: Proxy) -> None:
    status, body = proxy.get("/aggregator/", PASSWORD)
    assert status == 200
    assert "hpc-aggregator" in body


def test_check_has_nothing_to_say_of_the_pages_configuration(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"--config.file={place.folder}/config.yml"]) == 0
    assert capsys.readouterr().err == ""
