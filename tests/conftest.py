"""What all tests share: Hypothesis' profiles, the order of the tests, and one MariaDB per worker."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.mariadb import MariaDB

# How long a draw takes says how busy the machine is, not whether the code is right.
_STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make soak` looks for what `make check` has no time for. A test that needs more or fewer examples than others says
# how many times settings.default.max_examples.
settings.register_profile("quick", _STEADY, max_examples=50)
settings.register_profile("deep", _STEADY, max_examples=2000)
settings.load_profile("quick")

# What takes longest begins first, so that the workers end together.
_FIRST = ("lab", "simulation", "image")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a file run one after another in one worker, and so the files that share what is costly."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    mark = item.get_closest_marker("xdist_group")
    name = mark.args[0] if mark else ""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


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
