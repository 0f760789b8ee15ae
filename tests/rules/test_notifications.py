"""From a series to the message: the shipped rules and routes in a real Prometheus and a real Alertmanager, hastened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.alertmanager import AlertmanagerServer, Inbox, Message, delivered_to
from tests.lab.hasten import hasten
from tests.lab.process import wait_until
from tests.rules.files import ALERTMANAGER
from tests.rules.telling import FACTOR, HOSTILE, Exposition, job, waste

ADDRESS = "https://hpc.example.org/aggregator"


@pytest.fixture
def alertmanager(tmp_path: Path, inbox: Inbox) -> Iterator[AlertmanagerServer]:
    example = yaml.safe_load(ALERTMANAGER.read_text())
    started = AlertmanagerServer(tmp_path, delivered_to(inbox, hasten(example, FACTOR)))
    started.start()
    yield started
    started.stop()


def about_users(inbox: Inbox) -> list[Message]:
    return [message for message in list(inbox.messages) if "user" in message.group]


@pytest.mark.usefixtures("prometheus")
def test_an_idle_job_is_one_message_to_its_user_s_support_and_its_end_another(page: Exposition, inbox: Inbox) -> None:
    idle = job(1, "alice", HOSTILE, wasted_gpus=2, gpu_idle_seconds=7500, wasted_cpus=3.5)
    other = job(2, "alice", "reader", wasted_memory_bytes=2**35)
    efficient = job(3, "bob", "busy", wasted_gpus=0.1, wasted_cpus=0.2)
    page.lines = [*idle, waste(1, "alice"), *other, waste(2, "alice", "memory_overrequested"), *efficient]
    wait_until(lambda: bool(about_users(inbox)), 60, "the message")
    page.lines = [*efficient]
    wait_until(lambda: len(about_users(inbox)) > 1, 60, "the message of the end")

    first, last = about_users(inbox)
    assert (first.receiver, first.status, last.receiver, last.status) == (
        "user-support", "firing", "user-support", "resolved",
    )  # fmt: skip
    assert first.group == last.group == {"cluster": "lab", "user": "alice"}
    assert {alert["status"] for alert in last.alerts} == {"resolved"}
    by_job = {alert["labels"]["slurmjobid"]: alert for alert in first.alerts}
    assert set(by_job) == {"1", "2"}
    assert by_job["1"]["labels"] == {
        "alertname": "HpcJobWaste", "team": "user-support", "severity": "warning", "reason": "gpu_unused",
        "cluster": "lab", "slurmjobid": "1", "user": "alice", "account": "def-a",
    }  # fmt: skip
    assert by_job["1"]["annotations"] == {
        "summary": "Job 1 of alice (def-a) on lab wastes what it holds.",
        "description": "gpu_unused. GPUs not used: 2. GPUs idle for 2h 5m. CPUs not used: 3.5.",
        "job_name": '"x\\"}) or up # {{ $labels.user }} <script>"',
        "job_url": f"{ADDRESS}/ui/clusters/lab/jobs/1",
        "runbook_url": "https://docs.example.org/runbook/#hpcjobwaste",
    }
    assert "Memory not used: 32GiB." in by_job["2"]["annotations"]["description"]


@pytest.mark.usefixtures("prometheus")
def test_many_jobs_of_one_user_are_one_alert_and_not_twelve(page: Exposition, inbox: Inbox) -> None:
    page.lines = [
        'hpc_user_waste_jobs{cluster="lab",user="carol",account="def-a",reason="cpu_low",severity="warning"} 12',
        'hpc_user_wasted_cpus{cluster="lab",user="carol",account="def-a"} 90',
        *(line for number in range(12) for line in job(number, "carol", "many")),
        *(waste(number, "carol", "cpu_low", "critical" if number == 11 else "warning") for number in range(12)),
        *job(20, "dave", "one"),
        waste(20, "dave", "cpu_low"),
    ]
    wait_until(lambda: bool(inbox.delivered(user="carol") and inbox.delivered(user="dave")), 60, "both messages")

    (carol,), (dave,) = inbox.delivered(user="carol"), inbox.delivered(user="dave")
    assert [alert["labels"]["alertname"] for alert in carol.alerts] == ["HpcUserWasteInBulk"]
    assert carol.alerts[0]["annotations"]["description"] == ("12 of them: cpu_low.\nCPUs not used: 90.")
    assert carol.alerts[0]["annotations"]["job_url"] == f"{ADDRESS}/ui/clusters/lab/users/carol"
    assert [alert["labels"]["alertname"] for alert in dave.alerts] == ["HpcJobWaste"]


def names(alertmanager: AlertmanagerServer) -> set[str]:
    return {alert["labels"]["alertname"] for alert in alertmanager.alerts()}


@pytest.mark.usefixtures("prometheus")
def test_jobs_of_a_cluster_whose_source_is_down_are_not_told(
    page: Exposition, inbox: Inbox, alertmanager: AlertmanagerServer
) -> None:
    """The job of another cluster wastes as much for as long, and is told."""
    alice = [*job(1, "alice", "idle"), waste(1, "alice", severity="critical")]
    down = 'hpc_aggregator_source_up{source="prometheus",cluster="lab"} 0'
    page.lines = [down]
    # Hastened, all alerts wait equally long: the one that inhibits has to be given its lead.
    wait_until(lambda: "HpcAggregatorSourceDown" in names(alertmanager), 60, "the alert on the source")
    page.lines = [
        down,
        *alice,
        *(line.replace('"lab"', '"other"').replace("alice", "bob") for line in alice),
    ]
    wait_until(lambda: bool(inbox.delivered(cluster="other", user="bob")), 60, "the other cluster's message")

    inhibited = {alert["labels"]["user"] for alert in alertmanager.alerts() if alert["status"]["inhibitedBy"]}
    assert inhibited == {"alice"}
    assert [message.group["user"] for message in about_users(inbox)] == ["bob"]
    wait_until(lambda: bool(inbox.delivered(alertname="HpcAggregatorSourceDown")), 60, "the message about the source")
    assert {message.receiver for message in inbox.delivered(alertname="HpcAggregatorSourceDown")} == {"on-call"}
