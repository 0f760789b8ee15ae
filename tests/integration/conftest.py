"""A real MariaDB for the tests of this folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.mariadb import MariaDB


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-db-") as folder:
        Path(folder).chmod(0o755)
        server = MariaDB(Path(folder))
        server.start()
        yield server
        server.stop()
