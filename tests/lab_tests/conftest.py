"""One lab with the service in front, for all tests of this folder."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aggregator.sources.mysql import Connection, Database
from tests.lab import Lab, databases
from tests.lab.ports import LOOPBACK
from tests.lab.service import Service
from tests.lab.site import site_service
from tests.lab.slurm import DATABASE

# What job portals read beside the exporters' own series.
RULES = sorted((Path(__file__).resolve().parents[2] / "rules" / "recording").glob("[!h]*.yml"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab(rule_files=RULES) as started:
        yield started


@pytest.fixture
async def database(lab: Lab) -> AsyncIterator[Database]:
    """Connect to slurmacct as the service does."""
    opened = Database(Connection(
        key="lab", host=LOOPBACK, port=lab.mariadb.port, user=databases.USER,
        password=lambda: lab.password_file.read_text().strip(), database=DATABASE,
    ))  # fmt: skip
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def service(lab: Lab) -> Iterator[Service]:
    with site_service(lab) as started:
        yield started


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that leaves an alert behind fail itself, not the next one that waits for a message."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").wait_quiet()
