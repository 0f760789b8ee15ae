import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from aggregator.config import State
from aggregator.state import StateStore
from tests.lab.mariadb import MariaDB
from tests.unit.state.builders import server, sqlite

PASSWORD = "hunter2@%/:"
NOBODY = 65534
_databases = count()


@pytest.fixture
def mariadb_state(mariadb: MariaDB) -> State:
    # As on servers that slurmdbd uses too: sessions that do not ask for more are not strict.
    mariadb.execute("SET GLOBAL sql_mode='NO_ENGINE_SUBSTITUTION'")
    name = f"state{next(_databases)}"
    mariadb.create_database(name)
    mariadb.create_user("aggregator", PASSWORD, [f"ALL ON `{name}`.*"])
    return server(f"mariadb://aggregator@127.0.0.1:{mariadb.port}/{name}", PASSWORD)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    if request.param == "sqlite":
        return sqlite(tmp_path / "state.db")
    answer = request.getfixturevalue("mariadb_state")
    assert isinstance(answer, State)
    return answer


@pytest.fixture
async def store(state: State) -> AsyncIterator[StateStore]:
    store = StateStore(state)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def sqlite_store(file: Path) -> AsyncIterator[StateStore]:
    store = StateStore(sqlite(file), busy_seconds=0.05)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def plain_user_folder() -> Iterator[Path]:
    """Run the test as an ordinary user, whom file modes stop, and give a folder of theirs."""
    with TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)
