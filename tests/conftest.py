"""What all tests share: Hypothesis' profiles, how they are given to workers, and one MariaDB per worker."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests.lab.mariadb import MariaDB
from tests.workers import Scheduler, turn

# How long a draw takes says how busy the machine is, not whether the code is right.
_STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make soak` looks for what `make test` has no time for, and that for what `make check` has no time for. A test that
# needs more or fewer examples than others says how many times settings.default.max_examples.
settings.register_profile("brief", _STEADY, max_examples=10)
settings.register_profile("quick", _STEADY, max_examples=50)
settings.register_profile("deep", _STEADY, max_examples=2000)
settings.load_profile("quick")

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing")
    parser.addoption("--no-skips", action="store_true", help="fail when a test was skipped: nothing may be missing")


# Before -m is applied.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(ROOT / "unit") or item.path.is_relative_to(ROOT / "contract"):
            item.add_marker(pytest.mark.unit)
    items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """Give a real MariaDB; each test has databases and users of its own."""
    # Not in pytest's folders: it does not run as root, and nobody else may enter those.
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-db-") as folder:
        Path(folder).chmod(0o755)
        server = MariaDB(Path(folder))
        server.start()
        yield server
        server.stop()
