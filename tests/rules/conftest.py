"""The tools of Prometheus and Alertmanager, installed when missing, and what is scraped and told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.alertmanager import AlertmanagerServer, Inbox
from tests.lab.packages import ALERTMANAGER, PROMETHEUS, ensure_packages
from tests.lab.prometheus import PrometheusServer
from tests.rules.telling import Exposition, shipped_alerts


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    ensure_packages((*PROMETHEUS, *ALERTMANAGER))


@pytest.fixture
def page() -> Iterator[Exposition]:
    serving = Exposition()
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    receiving = Inbox()
    receiving.start()
    yield receiving
    receiving.stop()


@pytest.fixture
def prometheus(tmp_path: Path, page: Exposition, alertmanager: AlertmanagerServer) -> Iterator[PrometheusServer]:
    """Run a Prometheus with every alert that is shipped; each file has an Alertmanager of its own."""
    started = shipped_alerts(tmp_path, page, alertmanager)
    started.start()
    yield started
    started.stop()
