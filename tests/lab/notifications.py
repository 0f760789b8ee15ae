"""Alertmanager as it is shipped, but hastened and with an inbox in place of mail: who is told of what."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.lab.alertmanager import AlertmanagerServer, Inbox, delivered_to
from tests.lab.hasten import hasten, hastened_rules

_RULES = Path(__file__).resolve().parents[2] / "rules"
# `for: 10m` and the first wait of a group (5m) become 1 s, its interval (1h) 6 s.
FACTOR = 600
# Of these sources: others may be down while people are told of jobs.
_JOBS_REST_ON = {"slurmacct", "prometheus"}
ADDRESS = "https://hpc.example.org/aggregator"


def inhibits(labels: Mapping[str, str]) -> bool:
    """Tell whether nobody is told of jobs while an alert with these labels is firing (alertmanager.example.yml)."""
    name = labels["alertname"]
    return name == "HpcExporterBlindSpot" or (
        name == "HpcAggregatorSourceDown" and labels.get("source") in _JOBS_REST_ON
    )


class Notifications:
    """An Alertmanager with the example's routes, its inbox, and the alerts as Prometheus is to read them."""

    def __init__(self, root: Path) -> None:
        example = yaml.safe_load((_RULES / "alertmanager.example.yml").read_text())
        folder = root / "alerts"
        folder.mkdir()
        self.inbox = Inbox()
        self.alertmanager = AlertmanagerServer(root, delivered_to(self.inbox, hasten(example, FACTOR)))
        # The alerts read what the service's own recording rules make of its series.
        paths = [_RULES / "recording" / "hpc.yml", *sorted((_RULES / "alerts").glob("*.yml"))]
        self.rule_files = [hastened_rules(path, folder, FACTOR) for path in paths]
        self.external_labels = {"hpc_aggregator_url": ADDRESS}
        # As docs/rules.md has it: the address is for links, not for telling alerts apart.
        self.alerting = {"alert_relabel_configs": [{"action": "labeldrop", "regex": "hpc_(aggregator|runbook)_url"}]}

    def start(self) -> None:
        self.inbox.start()
        self.alertmanager.start()

    def stop(self) -> None:
        self.alertmanager.stop()
        self.inbox.stop()
