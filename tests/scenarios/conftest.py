"""The servers that all scenarios share, and a site of each test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.mariadb import MariaDB
from tests.lab.prometheus import PrometheusServer
from tests.scenarios.site import Servers, Site


@pytest.fixture(scope="session")
def servers(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    flags = ("--web.enable-remote-write-receiver",)
    root = tmp_path_factory.mktemp("servers")
    prometheus = PrometheusServer(root, flags=flags, late_window="30d", retention="60d")
    prometheus.start()
    yield Servers(mariadb, prometheus)
    prometheus.stop()


@pytest.fixture
def make_site(servers: Servers, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make sites; all of them end with the test."""
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Site(servers, tmp_path, **options))


@pytest.fixture(scope="module")
def shared_site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Make a site for those tests of a file that differ in what they ask only."""
    root = tmp_path_factory.mktemp("shared")
    root.chmod(0o755)
    with Site(servers, root) as site:
        yield site


@pytest.fixture
def site(make_site: Callable[..., Any]) -> Site:
    made: Site = make_site()
    return made
