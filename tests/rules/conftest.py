"""The tools of Prometheus and Alertmanager, installed when missing, and what is scraped and told."""

from collections.abc import Iterator

import pytest

from tests.lab.alertmanager import Inbox
from tests.lab.packages import ALERTMANAGER, PROMETHEUS, ensure_packages
from tests.rules.telling import Exposition


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
