"""A real Alertmanager with the shipped receiver, and two services with one state in MariaDB: each alert counts once."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.identities import make_token
from tests.lab.alertmanager import AlertmanagerServer
from tests.lab.hasten import hasten
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.service import Service
from tests.rules.files import ALERTMANAGER
from tests.scenarios.site import Site

# The first wait of a group (5m) becomes 1 s, its interval (1h) 6 s.
FACTOR = 600
PATH = "/api/v1/alerts"
PASSWORD = "only for tests"


class Pair:
    """A site's service and its replica, and the Alertmanager that tells both."""

    def __init__(self, site: Site, root: Path) -> None:
        self.site = site
        self.state_user = name = f"state_{site.cluster}"
        site.mariadb.create_database(name)
        site.mariadb.create_user(name, PASSWORD, [f"ALL ON `{name}`.*"])
        site.config["state"] = {
            "url": f"mariadb://{name}@{LOOPBACK}:{site.mariadb.port}/{name}", "password": PASSWORD,
        }  # fmt: skip
        site.config["auth"] = {"anonymous": ["health", "metrics"], "tokens": {"file": str(site.root / "tokens.yml")}}
        site.headers = {"Authorization": f"Bearer {make_token(site, 'staff', ['read:all'], None)}"}
        port = free_port()
        second = copy.deepcopy(site.config)
        second["server"]["listen_address"] = f"{LOOPBACK}:{port}"
        (site.root / "second.yml").write_text(yaml.safe_dump(second))
        self.second = Service(site, site.root / "second.yml", port=port, headers=site.headers)  # type: ignore[arg-type]
        (site.root / "alertmanager.token").write_text(make_token(site, "alertmanager", ["alerts"], None))
        self.alertmanager = AlertmanagerServer(root, self._routes((site.service_port, port)))

    def _routes(self, ports: tuple[int, int]) -> dict[str, Any]:
        """Give the example with the webhook to the service only, once for each of the two, by this site's token."""
        config = hasten(yaml.safe_load(ALERTMANAGER.read_text()), FACTOR)
        for receiver in config["receivers"]:
            receiver.pop("email_configs", None)
            (ours,) = [each for each in receiver["webhook_configs"] if each["url"].endswith(PATH)] or [None]
            receiver["webhook_configs"] = []
            if ours:
                assert ours["http_config"]["authorization"].keys() == {"credentials_file"}
                access = {"authorization": {"credentials_file": str(self.site.root / "alertmanager.token")}}
                receiver["webhook_configs"] = [
                    {"url": f"http://{LOOPBACK}:{port}{PATH}", "http_config": access} for port in ports
                ]
        return config

    def tell(self, *reasons: str, **more: str) -> None:
        labels = {"alertname": "HpcJobWaste", "team": "user-support", "severity": "warning", "user": "ann",
                  "account": "phys", "cluster": self.site.cluster, "slurmjobid": "500"}  # fmt: skip
        self.alertmanager.send(*({**labels, "reason": reason} for reason in reasons), **more)

    def outcomes(self) -> dict[str, float]:
        """Give what has become of alerts, by outcome, in both services together."""
        found: dict[str, float] = {}
        for service in (self.site.service, self.second):
            for labels, value in service.samples("hpc_aggregator_alerts_total").items():
                outcome = dict(labels)["outcome"]
                found[outcome] = found.get(outcome, 0.0) + value
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Give what the job has."""
        (run,) = self.site.data("/jobs/500")["runs"]
        found: list[dict[str, Any]] = run["alerts"]
        return found


@pytest.fixture
def pair(site: Site, tmp_path: Path) -> Iterator[Pair]:
    site.job(500)
    made = Pair(site, tmp_path)
    site.start()
    made.second.start()
    made.alertmanager.start()
    yield made
    made.alertmanager.stop()
    made.second.stop()


def test_an_alert_that_is_told_to_both_is_kept_once_with_its_end(pair: Pair) -> None:
    site, family = pair.site, "hpc_user_waste_notifications_total"
    pair.tell("idle", "cpu_low")
    site.wait(lambda: (pair.outcomes()["new"], pair.outcomes()["known"]) == (2, 2), "both services told of both")
    site.wait(lambda: site.value(family, user="ann", reason="idle"), "the counter")
    assert [site.value(family, user="ann", account="phys", reason=reason) for reason in ("idle", "cpu_low")] == [1, 1]
    assert {alert["reason"]: alert["resolved_time"] for alert in pair.alerts()} == {"idle": None, "cpu_low": None}

    pair.tell("idle", endsAt=datetime.now(UTC).isoformat())
    site.wait(lambda: any(alert["resolved_time"] for alert in pair.alerts()), "its end")
    assert {alert["reason"]: alert["resolved_time"] is not None for alert in pair.alerts()} == {
        "idle": True, "cpu_low": False,
    }  # fmt: skip
    assert pair.outcomes()["new"] == 2
    assert pair.second.data(f"/api/v1/clusters/{site.cluster}/alerts?group_by=user")["alerts"] == [
        {"user": "ann", "alerts": 2}
    ]

    site.service.stop()
    site.service.start()
    site.wait(lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500), "the first page after a restart")
    assert site.value(family, user="ann", reason="idle") == 1


def test_what_is_told_while_the_state_is_away_is_told_again(pair: Pair) -> None:
    site, user = pair.site, f"'{pair.state_user}'@'{LOOPBACK}'"
    site.mariadb.execute(f"ALTER USER {user} ACCOUNT LOCK")
    site.mariadb.execute(f"KILL HARD USER {user}")
    pair.tell("idle")
    site.wait(lambda: pair.outcomes()["failed"] > 0, "a webhook that could not be kept")
    assert pair.outcomes()["new"] == 0
    site.mariadb.execute(f"ALTER USER {user} ACCOUNT UNLOCK")
    site.wait(lambda: (pair.outcomes()["new"], len(pair.alerts() or ())) == (1, 1), "the alert", 60)


def test_what_is_told_without_the_scope_is_told_again_with_it(pair: Pair) -> None:
    """Alertmanager gives up at a 403, until the group is due."""
    site, token = pair.site, pair.site.root / "alertmanager.token"
    right, wrong = token.read_text(), make_token(site, "another", ["metrics"], None)
    token.write_text(wrong)
    pair.tell("idle")
    log = site.service.daemon.log
    site.wait(lambda: "this token lacks the scope alerts" in log.read_text(), "the refusal")
    assert (pair.alerts(), pair.outcomes()["new"]) == ([], 0)
    token.write_text(right)
    site.wait(lambda: pair.outcomes()["new"] == 1, "the alert")
