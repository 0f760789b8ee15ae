"""The tools of Prometheus and Alertmanager, installed when missing."""

import pytest

from tests.lab.packages import ALERTMANAGER, PROMETHEUS, ensure_packages


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    ensure_packages((*PROMETHEUS, *ALERTMANAGER))
