"""rules/alertmanager.example.yml: checked by amtool, and its inhibitions in a real Alertmanager."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.packages import program
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment, wait_until
from tests.rules.files import ALERTMANAGER, alerts, run


class Alertmanager:
    """A real Alertmanager with the example's configuration."""

    def __init__(self, root: Path) -> None:
        self._url = f"http://{LOOPBACK}:{free_port()}"
        # Without the environment's proxies.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.daemon = Daemon(
            "alertmanager",
            [
                program("prometheus-alertmanager"),
                f"--config.file={ALERTMANAGER}",
                f"--storage.path={root}/data",
                f"--web.listen-address={self._url.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            log=root / "alertmanager.log",
            env=lab_environment(root, NO_PROXY="*"),
            ready=self._ready,
        )

    def send(self, *labels: dict[str, str]) -> None:
        body = json.dumps([{"labels": each} for each in labels]).encode()
        request = urllib.request.Request(
            f"{self._url}/api/v2/alerts", body, {"Content-Type": "application/json"}, method="POST"
        )
        with self._opener.open(request, timeout=10):
            pass

    def inhibited(self) -> set[str]:
        """Give the `id` labels of what is inhibited now."""
        with self._opener.open(f"{self._url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return {alert["labels"]["id"] for alert in found if alert["status"]["inhibitedBy"]}

    def _ready(self) -> bool:
        try:
            with self._opener.open(f"{self._url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    started = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    started.daemon.start()
    yield started
    started.daemon.stop()


def test_amtool_accepts_the_example() -> None:
    run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=HpcAggregatorDown", "team=monitoring", "severity=critical"), "on-call"),
        (("alertname=HpcAggregatorDataStale", "team=monitoring", "severity=warning"), "monitoring"),
        (("alertname=HpcStorageQuotaNearlyFull", "team=storage", "severity=warning"), "storage"),
        (("alertname=HpcStorageQuotaNearlyFull", "team=storage", "severity=critical"), "storage"),
        (("alertname=HpcJobGpuUnused", "team=user-support", "severity=warning", "user=alice"), "user-support"),
        (("alertname=HpcJobGpuUnused", "team=user-support", "severity=critical", "user=alice"), "user-support-urgent"),
        (("alertname=Other", "severity=critical"), "monitoring"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_alert_goes_to_its_team(labels: tuple[str, ...], receiver: str) -> None:
    run(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}", *labels
    )


def test_alerts_on_jobs_are_grouped_by_user() -> None:
    routes = yaml.safe_load(ALERTMANAGER.read_text())["route"]["routes"]
    assert [route["group_by"] for route in routes if route["receiver"] == "user-support"] == [["cluster", "user"]]


def test_every_team_of_the_alerts_has_a_route_of_its_own() -> None:
    routed = ALERTMANAGER.read_text()
    assert all(f'team="{rule["labels"]["team"]}"' in routed for rule in alerts())


def test_inhibition(alertmanager: Alertmanager) -> None:
    """Expected: exactly the alerts whose id begins with "mute"."""
    gpu = {"alertname": "HpcJobGpuUnused", "team": "user-support", "user": "alice"}
    quota = {"alertname": "HpcStorageQuotaNearlyFull", "team": "storage", "resource": "bytes", "source": "allocations"}
    down = {"alertname": "HpcAggregatorSourceDown", "team": "monitoring", "severity": "critical"}
    warning, critical = {"severity": "warning"}, {"severity": "critical"}
    alertmanager.send(
        down | {"id": "down narval", "source": "prometheus", "cluster": "narval"},
        gpu | warning | {"id": "mute: the source is down", "cluster": "narval", "slurmjobid": "1"},
        gpu | critical | {"id": "mute: also when critical", "cluster": "narval", "slurmjobid": "2"},
        {"alertname": "HpcAggregatorInputFailed", "id": "mute: input", "source": "prometheus", "cluster": "narval"},
        {"alertname": "HpcAggregatorDataStale", "id": "old data of another cluster", "cluster": "beluga"} | warning,
        gpu | warning | {"id": "another cluster", "cluster": "beluga", "slurmjobid": "1"},
        gpu | warning | {"id": "mute: critical says it", "cluster": "beluga", "slurmjobid": "2"},
        gpu | critical | {"id": "critical", "cluster": "beluga", "slurmjobid": "2"},
        quota | warning | {"id": "mute: quota", "filesystem": "project", "group": "def-a"},
        quota | critical | {"id": "quota critical", "filesystem": "project", "group": "def-a"},
        quota | warning | {"id": "quota of another group", "filesystem": "project", "group": "def-b"},
        down | {"id": "down scratch", "source": "robinhood", "filesystem": "scratch"},
        quota | critical | {"id": "mute: robinhood is down", "filesystem": "scratch", "group": "def-a"},
        {"alertname": "HpcExporterBlindSpot", "id": "blind", "cluster": "cedar"} | warning,
        gpu | critical | {"id": "mute: blind spot", "cluster": "cedar", "slurmjobid": "3"},
    )
    wait_until(lambda: len(alertmanager.inhibited()) >= 7, 10, "the inhibitions")
    assert all(name.startswith("mute") for name in alertmanager.inhibited())
    assert len(alertmanager.inhibited()) == 7
