"""One lab with the service in front, for all tests of this folder."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aggregator.sources.mysql import Connection, Database
from tests.lab import Lab, databases
from tests.lab.hasten import rules_with_window
from tests.lab.ports import LOOPBACK
from tests.lab.service import Service
from tests.lab.site import site_service
from tests.lab.slurm import DATABASE

# What job portals read beside the exporters' own series.
RULES = Path(__file__).resolve().parents[2] / "rules" / "recording"
# No job starts or ends in these, and test_catalogue.py waits for a minute without: they use it.
_FIRST = {"test_identities.py", "test_scripts.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent or item.path.name not in _FIRST)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("rules")
    rules = [rules_with_window(RULES / name, folder, "15s") for name in ("slurm_job.yml", "lustre.yml")]
    with Lab(rule_files=rules) as started:
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
