"""What is told of jobs: a page of the service's series, and a Prometheus with every alert that is shipped, hastened."""

import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml

from tests.lab.alertmanager import AlertmanagerServer
from tests.lab.hasten import hastened_rules
from tests.lab.prometheus import PrometheusServer
from tests.lab.webserver import WebServer
from tests.rules.files import OWN, ROOT, rule_files

# `for: 10m` and the first wait of a group (5m) become 1 s, its interval (1h) 6 s.
FACTOR = 600
HOSTILE = 'x"}) or up # {{ $labels.user }} <script>'


class Exposition(WebServer):
    """A page of metrics that Prometheus scrapes; *lines* may change at any time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(Page)


class Page(BaseHTTPRequestHandler):
    owner: Exposition

    def do_GET(self) -> None:
        body = "".join(f"{line}\n" for line in self.owner.lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def job(number: int, user: str, name: str, *more: tuple[str, str], **amounts: float) -> list[str]:
    """Write a running job of a user with more labels, and what it wastes."""
    owner = f'cluster="lab",slurmjobid="{number}",user="{user}",account="def-a"'
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    labels = "".join(f',{label}="{value}"' for label, value in (("job_name", escaped), *more))
    return [
        f'hpc_job_info{{{owner},state="running"{labels}}} 1',
        *(f"hpc_job_{amount}{{{owner}}} {value}" for amount, value in amounts.items()),
    ]


def waste(number: int, user: str, reason: str = "gpu_unused", severity: str = "warning") -> str:
    owner = f'cluster="lab",slurmjobid="{number}",user="{user}",account="def-a"'
    return f'hpc_job_waste{{{owner},reason="{reason}",severity="{severity}"}} 1'


def documented(section: str) -> Any:
    """Give a section of Prometheus's configuration that docs/rules.md shows."""
    (block,) = re.findall(r"```yaml\n(global:\n.*?)```", (ROOT / "docs" / "rules.md").read_text(), re.DOTALL)
    return yaml.safe_load(block)[section]


def shipped_alerts(root: Path, page: Exposition, alertmanager: AlertmanagerServer) -> PrometheusServer:
    """Make a Prometheus that scrapes the page as the service and evaluates every alert that is shipped."""
    (root / "rules").mkdir()
    return PrometheusServer(
        root,
        service_port=page.port,
        rule_files=[hastened_rules(path, root / "rules", FACTOR) for path in (OWN, *rule_files("alerts"))],
        external_labels=documented("global")["external_labels"],
        alerting=documented("alerting"),
        alertmanager_port=alertmanager.port,
    )
