"""The image, as the chart runs it."""

import base64
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import yaml

from tests.deploy.chart import Manifests, ci, manifests
from tests.deploy.image import Image
from tests.deploy.pod import Pod, get
from tests.lab import Lab, wait_until
from tests.lab.packages import SEARCH_PATH, ensure_packages
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon
from tests.lab.service import Service
from tests.lab.site import create_token

PASSWORD = "a:pass word"


def _certificate(folder: Path, name: str) -> dict[str, bytes]:
    ensure_packages(["openssl"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hpc-aggregator",
         "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return {name: (folder / name).read_bytes() for name in ("tls.crt", "tls.key")}


def _server_name(rendered: Manifests) -> str:
    (endpoint,) = rendered["ServiceMonitor"]["spec"]["endpoints"]
    return str(endpoint["tlsConfig"]["serverName"])


@pytest.fixture(scope="module")
def secured(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pod, int, Path]]:
    """The pod of ci/with-web-config, whose sources do not exist; its port, and its certificate."""
    rendered, folder, port = ci("with-web-config"), tmp_path_factory.mktemp("secured"), free_port()
    web = {
        "tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key"},
        "basic_auth_users": {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()},
    }
    secret = {"web.yml": yaml.safe_dump(web).encode(), **_certificate(folder, _server_name(rendered))}
    (folder / "volumes").mkdir()
    pod = Pod(image, rendered, {"hpc-aggregator-web": secret}, folder / "volumes", port)
    environment = {"PATH": SEARCH_PATH}
    daemon = Daemon("pod", pod.command(), log=folder / "log", env=environment, ready=lambda: answers(port))
    daemon.start()
    yield pod, port, folder / "tls.crt"
    daemon.stop()


def test_the_probes_speak_https_and_need_no_password(secured: tuple[Pod, int, Path]) -> None:
    pod, port, _ = secured
    assert pod.probe("livenessProbe") == 200
    assert pod.probe("startupProbe") == 200
    assert pod.probe("readinessProbe") == 503, "it answers; whether there are data is not asked here"
    assert get(f"http://{LOOPBACK}:{port}/-/healthy").status == 0


def test_helm_test_speaks_https(secured: tuple[Pod, int, Path]) -> None:
    assert secured[0].run_helm_test().strip()


def test_the_certificate_is_checked_by_the_name_in_the_service_monitor(secured: tuple[Pod, int, Path]) -> None:
    _, port, certificate = secured
    trust = ssl.create_default_context(cafile=str(certificate))
    name = _server_name(ci("with-web-config"))
    with (
        socket.create_connection((LOOPBACK, port)) as plain,
        trust.wrap_socket(plain, server_hostname=name) as encrypted,
    ):
        assert encrypted.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/clusters/narval/jobs"])
def test_the_password_opens_what_is_closed_to_others(secured: tuple[Pod, int, Path], path: str) -> None:
    url = f"https://{LOOPBACK}:{secured[1]}{path}"
    credentials = base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()
    assert get(url).status == 401
    assert get(url, {"Authorization": "Basic bm9ib2R5Og=="}).status == 401
    # The API has no data here, but it was asked.
    assert get(url, {"Authorization": f"Basic {credentials}"}).status in (200, 503)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as started:
        yield started


def _values(lab: Lab, folder: Path) -> Path:
    """Write the lab's configuration as values: its files and passwords come as the chart gives them."""
    text = lab.write_config(folder / "lab.yml").read_text()
    config = yaml.safe_load(text.replace(str(lab.password_file), "/run/secrets/hpc-aggregator/password"))
    del config["server"], config["state"]
    allocations = Path(config["allocations"]["file"]).read_text()
    values = {
        "existingSecret": "hpc-aggregator",
        "tokens": {"existingSecret": "tokens"},
        "persistence": {"enabled": True},
        "config": config | {"allocations": {"file": "allocations.yml"}},
        "extraFiles": {"allocations.yml": allocations},
    }
    (folder / "values.yml").write_text(yaml.safe_dump(values))
    return folder / "values.yml"


@pytest.mark.lab
def test_it_joins_real_jobs_and_ends_in_time(lab: Lab, image: Image, tmp_path: Path) -> None:
    """Slurm's jobs from MariaDB and Prometheus, through the chart's configuration, Secret and volume."""
    values = _values(lab, tmp_path)
    (tmp_path / "volumes").mkdir()
    token = create_token(tmp_path, "portal", "--scope=read:all")
    scraper = create_token(tmp_path, "prometheus", "--scope=metrics")
    tokens = (tmp_path / "tokens.yml").read_bytes()
    secrets = {"hpc-aggregator": {"password": lab.password_file.read_bytes()}, "tokens": {"tokens.yml": tokens}}
    rendered = manifests("helm4", values)
    pod = Pod(image, rendered, secrets, tmp_path / "volumes", lab.service_port)
    grace = rendered["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    service = Service(lab, values, pod.command(), headers={"Authorization": f"Bearer {scraper}"})
    service.start_and_join(lab.jobs["multi_node"])
    try:
        wait_until(lambda: pod.probe("readinessProbe") == 200, 60, "the pod to be ready")
        wait_until(lambda: len(service.samples("hpc_job_used_cpus", cluster="lab")) > 10, 60, "the use of the jobs")
        # Robinhood is read with the same Secret.
        wait_until(lambda: bool(service.samples("hpc_storage_used_bytes")), 60, "the use of the file system")
        assert [get(service.url + path).status for path in ("/api/v1/status", "/metrics")] == [401, 401]
        assert service.get("/api/v1/clusters/lab/jobs", {"Authorization": f"Bearer {token}"})[0] == 200
        assert pod.run_helm_test().strip()
        assert service.daemon.pid is not None
        pod.terminate(service.daemon.pid)
        wait_until(lambda: not service.daemon.running, grace, "the pod to end")
        assert service.terminate(1) == 0, service.daemon.tail()
        assert (pod.folder_of_state / "state.db").stat().st_size > 0
    finally:
        service.stop()
