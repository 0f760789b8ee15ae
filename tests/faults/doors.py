"""`hpc-aggregator serve` with a web configuration, asked over TLS or not, from several addresses of this machine."""

import http.client
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.lab.packages import ensure_packages
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, lab_environment

_REPOSITORY = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str


class Door:
    """The service of a site whose sources do not answer; a context manager."""

    def __init__(self, root: Path, web: dict[str, Any], **config: Any) -> None:
        self.port = free_port()
        self._is_tls = "tls_server_config" in web
        self._root = root
        site = {
            "server": {"listen_address": f"{LOOPBACK}:{self.port}"},
            "state": {"url": f"sqlite:///{root}/state.db"},
            "clusters": {
                "a": {
                    "slurmacct": {"host": LOOPBACK, "port": 1, "user": "u"},
                    "prometheus": {"url": "http://127.0.0.1:1"},
                }
            },
        }
        for name, content in (("config.yml", {**site, **config}), ("web.yml", web)):
            (root / name).write_text(yaml.safe_dump(content))
        flags = [f"--config.file={root}/config.yml", f"--web.config.file={root}/web.yml"]
        self.daemon = Daemon(
            "hpc-aggregator", [sys.executable, "-m", "aggregator", "serve", *flags], log=root / "log",
            env=lab_environment(root, PYTHONPATH=str(_REPOSITORY)), ready=lambda: answers(self.port),
        )  # fmt: skip

    def __enter__(self) -> "Door":
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, source: str = LOOPBACK, certificate: str = ""
    ) -> Answer:
        """Ask from an address of this machine, with the certificate of this name."""
        connection = self._connection(source, certificate)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def _connection(self, source: str, certificate: str) -> http.client.HTTPConnection:
        where: dict[str, Any] = {"timeout": 60, "source_address": (source, 0)}
        if not self._is_tls:
            return http.client.HTTPConnection(LOOPBACK, self.port, **where)
        tls = ssl.create_default_context(cafile=self._root / "server.crt")
        if certificate:
            tls.load_cert_chain(self._root / f"{certificate}.crt", self._root / f"{certificate}.key")
        return http.client.HTTPSConnection(LOOPBACK, self.port, context=tls, **where)


def make_certificate(folder: Path, name: str, subject: str) -> None:
    """Make a certificate that signs itself."""
    ensure_packages(["openssl"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", subject, "-addext", f"subjectAltName=IP:{LOOPBACK}",
         "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
