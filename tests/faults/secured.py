"""The service behind TLS and passwords: its web configuration is changed while it runs."""

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bcrypt
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.packages import ensure_packages
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, lab_environment

_REPOSITORY = Path(__file__).resolve().parents[2]


def certificate(folder: Path, name: str) -> None:
    """Make a certificate that vouches for itself, of a server here or of a client."""
    ensure_packages(["openssl"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", folder / f"{name}.key",
         "-out", folder / f"{name}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def trust(folder: Path, *servers: str, client: str | None = None) -> ssl.SSLContext:
    """Make a client that trusts these servers' certificates, and has one of its own."""
    context = ssl.create_default_context()
    for name in servers:
        context.load_verify_locations(folder / f"{name}.crt")
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context


# What is served does not matter here: port 1 answers nobody.
CONFIG = """
server: {{ listen_address: "{host}:{port}" }}
state: {{ url: "sqlite:///{folder}/state.db" }}
clusters: {{ narval: {{ slurmacct: {{ host: 127.0.0.1, port: 1, user: a }}, prometheus: {{ url: "http://h" }} }} }}
"""


class Secured:
    """`serve` with `web.yml` beside its configuration; `web` is what stands in there."""

    def __init__(self, folder: Path, web: dict[str, Any]) -> None:
        self.folder = folder
        self.web = web
        self.port = port = free_port()
        command = [sys.executable, "-m", "aggregator", "serve", f"--config.file={folder}/config.yml",
                   f"--web.config.file={folder}/web.yml"]  # fmt: skip
        self.daemon = Daemon(
            "hpc-aggregator", command, log=folder / "service.log",
            env=lab_environment(folder, PYTHONPATH=str(_REPOSITORY)), ready=lambda: answers(port),
        )  # fmt: skip
        self.url = f"{'https' if 'tls_server_config' in web else 'http'}://{LOOPBACK}:{port}"

    def __enter__(self) -> "Secured":
        (self.folder / "config.yml").write_text(CONFIG.format(host=LOOPBACK, port=self.port, folder=self.folder))
        self.write()
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()

    def write(self) -> None:
        """Write the web configuration as it is now."""
        (self.folder / "web.yml").write_text(yaml.safe_dump(self.web))

    def replace(self, name: str, by: str, kinds: Iterable[str] = ("crt", "key")) -> None:
        """Put another certificate's files in the place of one's."""
        for kind in kinds:
            (self.folder / f"{name}.{kind}").write_bytes((self.folder / f"{by}.{kind}").read_bytes())

    @property
    def log(self) -> str:
        return self.daemon.log.read_text()

    def ask(
        self,
        path: str,
        context: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        method: str = "GET",
    ) -> tuple[int, str]:
        """Ask over a connection of its own; status 0 when there is no answer."""
        headers = {} if login is None else {"Authorization": "Basic " + b64encode(":".join(login).encode()).decode()}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, repr(error)

    def status(self, path: str, context: ssl.SSLContext | None = None, login: tuple[str, str] | None = None) -> int:
        return self.ask(path, context, login)[0]

    def samples(self, name: str, context: ssl.SSLContext) -> dict[str, float]:
        """Give a family's samples by their labels."""
        _, page = self.ask("/metrics", context)
        return {
            json.dumps(sample.labels): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name
        }
