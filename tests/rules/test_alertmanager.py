"""rules/alertmanager.example.yml: checked by amtool, and its inhibitions in a real Alertmanager."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.alertmanager import AlertmanagerServer
from tests.lab.process import wait_until
from tests.rules.files import ALERTMANAGER, alerts, run

EXAMPLE = yaml.safe_load(ALERTMANAGER.read_text())


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[AlertmanagerServer]:
    started = AlertmanagerServer(tmp_path, EXAMPLE)
    started.start()
    yield started
    started.stop()


def inhibited(alertmanager: AlertmanagerServer) -> set[str]:
    """Give the `id` labels of what is inhibited now."""
    return {alert["labels"]["id"] for alert in alertmanager.alerts() if alert["status"]["inhibitedBy"]}


def test_amtool_accepts_the_example() -> None:
    run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=HpcAggregatorDown", "team=monitoring", "severity=critical"), "on-call"),
        (("alertname=HpcAggregatorDataStale", "team=monitoring", "severity=warning"), "monitoring"),
        (("alertname=HpcStorageQuotaNearlyFull", "team=storage", "severity=warning"), "storage"),
        (("alertname=HpcStorageQuotaNearlyFull", "team=storage", "severity=critical"), "storage"),
        (("alertname=HpcJobWaste", "team=user-support", "severity=warning", "user=alice"), "user-support"),
        (("alertname=HpcJobWaste", "team=user-support", "severity=critical", "user=alice"), "user-support"),
        (("alertname=HpcUserWasteInBulk", "team=user-support", "severity=warning", "user=alice"), "user-support"),
        (("alertname=HpcUserWasteInBulk", "team=user-support", "severity=critical"), "user-support"),
        (("alertname=HpcWasteOverDays", "team=user-support", "severity=warning", "account=def-a"), "user-support"),
        (("alertname=HpcCloudInstancesIdle", "team=cloud", "severity=warning"), "cloud"),
        (("alertname=Other", "severity=critical"), "monitoring"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_alert_goes_to_its_team(labels: tuple[str, ...], receiver: str) -> None:
    run(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}", *labels
    )


def test_alerts_on_jobs_are_grouped_by_user() -> None:
    routes = EXAMPLE["route"]["routes"]
    assert [route["group_by"] for route in routes if route["receiver"] == "user-support"] == [["cluster", "user"]]


def test_every_team_of_the_alerts_has_a_route_of_its_own() -> None:
    routed = ALERTMANAGER.read_text()
    assert all(f'team="{rule["labels"]["team"]}"' in routed for rule in alerts())


def test_a_mail_about_jobs_has_their_amounts_names_and_links_and_escapes_nothing_twice(tmp_path: Path) -> None:
    told = {
        "summary": "Job 1 wastes.",
        "description": "It idles.",
        "job_name": '"<b> \\n"',
        "job_url": "https://hpc/jobs/1",
    }
    many = {"summary": "12 jobs waste.", "description": "They idle.", "job_url": "https://hpc/jobs?user=alice"}
    data = {
        "receiver": "user-support",
        "status": "firing",
        "alerts": [
            {"status": "firing", "labels": {}, "annotations": told},
            {"status": "resolved", "labels": {}, "annotations": {"summary": "Job 2 wastes no more."}},
            {"status": "firing", "labels": {}, "annotations": many},
        ],
    }
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "none.tmpl").write_text("")
    (mail,) = next(one for one in EXAMPLE["receivers"] if one["name"] == "user-support")["email_configs"]
    text = run(
        "amtool", "template", "render", f"--template.glob={tmp_path}/*.tmpl", f"--template.text={mail['text']}",
        f"--template.data={tmp_path}/data.json",
    )  # fmt: skip
    assert text.split("\n\n")[:2] == [
        'Job 1 wastes.\nIt idles.\nName: "<b> \\n"\nhttps://hpc/jobs/1',
        "12 jobs waste.\nThey idle.\nhttps://hpc/jobs?user=alice",
    ]
    assert "Job 2" not in text
    assert mail["html"] == "", "names are written by users"


def test_inhibition(alertmanager: AlertmanagerServer) -> None:
    """Expected: exactly the alerts whose id begins with "mute"."""
    waste = {"alertname": "HpcJobWaste", "team": "user-support", "user": "alice", "reason": "gpu_unused"}
    bulk = {"alertname": "HpcUserWasteInBulk", "team": "user-support", "user": "alice"}
    quota = {"alertname": "HpcStorageQuotaNearlyFull", "team": "storage", "resource": "bytes", "source": "allocations"}
    down = {"alertname": "HpcAggregatorSourceDown", "team": "monitoring", "severity": "critical"}
    warning, critical = {"severity": "warning"}, {"severity": "critical"}
    sent = [
        down | {"id": "down narval", "source": "prometheus", "cluster": "narval"},
        waste | warning | {"id": "mute: the source is down", "cluster": "narval", "slurmjobid": "1"},
        waste | critical | {"id": "mute: also when critical", "cluster": "narval", "slurmjobid": "2"},
        bulk | warning | {"id": "mute: also many", "cluster": "narval"},
        {"alertname": "HpcAggregatorInputFailed", "id": "mute: input", "source": "prometheus", "cluster": "narval"},
        {"alertname": "HpcAggregatorDataStale", "id": "old data of another cluster", "cluster": "beluga"} | warning,
        waste | warning | {"id": "another cluster", "cluster": "beluga", "slurmjobid": "1"},
        waste | warning | {"id": "mute: critical says it", "cluster": "beluga", "slurmjobid": "2"},
        waste | critical | {"id": "critical", "cluster": "beluga", "slurmjobid": "2", "reason": "cpu_low"},
        bulk | warning | {"id": "many of bob", "cluster": "graham", "user": "bob"},
        bulk | warning | {"id": "mute: critical many says it", "cluster": "graham"},
        bulk | critical | {"id": "critical many", "cluster": "graham"},
        waste | critical | {"id": "mute: one of many", "cluster": "graham", "slurmjobid": "3"},
        waste | critical | {"id": "mute: one of bob's many", "cluster": "graham", "slurmjobid": "4", "user": "bob"},
        waste | warning | {"id": "one of carol", "cluster": "graham", "slurmjobid": "5", "user": "carol"},
        quota | warning | {"id": "mute: quota", "filesystem": "project", "group": "def-a"},
        quota | critical | {"id": "quota critical", "filesystem": "project", "group": "def-a"},
        quota | warning | {"id": "quota of another group", "filesystem": "project", "group": "def-b"},
        down | {"id": "down scratch", "source": "robinhood", "filesystem": "scratch"},
        quota | critical | {"id": "mute: robinhood is down", "filesystem": "scratch", "group": "def-a"},
        {"alertname": "HpcExporterBlindSpot", "id": "blind", "cluster": "cedar"} | warning,
        waste | critical | {"id": "mute: blind spot", "cluster": "cedar", "slurmjobid": "3"},
        bulk | critical | {"id": "mute: many in a blind spot", "cluster": "cedar"},
    ]
    alertmanager.send(*sent)
    expected = {alert["id"] for alert in sent if alert["id"].startswith("mute")}
    wait_until(lambda: inhibited(alertmanager) >= expected, 60, "the inhibitions")
    assert inhibited(alertmanager) == expected
