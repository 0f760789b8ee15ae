"""An Alertmanager, and the inbox that its messages go to."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml

from tests.lab.packages import ALERTMANAGER, ensure_packages, program
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment
from tests.lab.webserver import WebServer


class AlertmanagerServer:
    """An Alertmanager in a folder of *root*, on its own: no cluster."""

    def __init__(self, root: Path, config: Mapping[str, Any]) -> None:
        ensure_packages(ALERTMANAGER)
        self.port = free_port()
        self.folder = root / "alertmanager"
        self._config = config
        # Without the environment's proxies.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.daemon = Daemon(
            "alertmanager",
            [
                program("prometheus-alertmanager"),
                f"--config.file={self.folder}/alertmanager.yml",
                f"--storage.path={self.folder}/data",
                f"--web.listen-address={LOOPBACK}:{self.port}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            log=self.folder / "alertmanager.log",
            env=lab_environment(root, NO_PROXY="*"),
            ready=self._ready,
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(self._config), sort_keys=False))
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    def send(self, *labels: Mapping[str, str], **more: str) -> None:
        """Raise alerts with these labels, as a Prometheus does; *more* are other fields, such as endsAt."""
        body = json.dumps([{"labels": dict(each), **more} for each in labels]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers, method="POST")
        with self._opener.open(request, timeout=30):
            pass

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds, as the API gives them: ``labels``, ``annotations``, ``status`` …."""
        with self._opener.open(f"{self.url}/api/v2/alerts", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def _ready(self) -> bool:
        try:
            with self._opener.open(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@dataclass(frozen=True)
class Message:
    """One message of Alertmanager: the receiver that it was sent to, and the web hook's body."""

    receiver: str
    body: dict[str, Any]

    @property
    def status(self) -> str:
        """``firing`` or, when every alert of the group has ended, ``resolved``."""
        status: str = self.body["status"]
        return status

    @property
    def group(self) -> dict[str, str]:
        """The labels that the alerts are grouped by."""
        labels: dict[str, str] = self.body["groupLabels"]
        return labels

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Its alerts: ``labels``, ``annotations``, ``status`` of each."""
        alerts: list[dict[str, Any]] = self.body["alerts"]
        return alerts


class Inbox(WebServer):
    """A web server that keeps what Alertmanager sends to its web hooks."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        super().__init__(_Hook)

    def url(self, receiver: str) -> str:
        """Return the web hook's address for a receiver of this name."""
        return f"http://{LOOPBACK}:{self.port}/{receiver}"

    def delivered(self, **group: str) -> list[Message]:
        """Return the messages whose group carries these labels, the oldest first."""
        return [message for message in list(self.messages) if group.items() <= message.group.items()]


class _Hook(BaseHTTPRequestHandler):
    owner: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.messages.append(Message(self.path.removeprefix("/"), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def delivered_to(inbox: Inbox, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return Alertmanager's configuration with every receiver replaced by a web hook of the inbox."""
    receivers = [
        {"name": receiver["name"], "webhook_configs": [{"url": inbox.url(receiver["name"])}]}
        for receiver in config["receivers"]
    ]
    return {**config, "receivers": receivers}
