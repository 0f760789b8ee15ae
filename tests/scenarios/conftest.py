"""The servers that all scenarios share, and a site of each test's own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.mariadb import MariaDB
from tests.lab.prometheus import PrometheusServer
from tests.scenarios.site import Servers, Site


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-scenarios-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        mariadb = MariaDB(root)
        flags = ("--web.enable-remote-write-receiver",)
        prometheus = PrometheusServer(root, flags=flags, late_window="30d", retention="60d")
        try:
            mariadb.start()
            prometheus.start()
            yield Servers(mariadb, prometheus)
        finally:
            prometheus.stop()
            mariadb.stop()


@pytest.fixture
def make_site(servers: Servers, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make sites; all of them end with the test."""
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Site(servers, tmp_path, **options))


@pytest.fixture
def site(make_site: Callable[..., Any]) -> Site:
    made: Site = make_site()
    return made
