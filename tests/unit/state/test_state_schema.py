import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from aggregator.config import State
from aggregator.state import StateError, StateStore
from aggregator.state.database import Database
from aggregator.state.schema import VERSION_TABLE
from aggregator.state.tables import METADATA
from tests.unit.state.builders import ended, known, make_job, sqlite


def _differences(connection: Connection) -> list[Any]:
    return list(
        compare_metadata(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), METADATA)
    )


async def test_migrations_make_the_tables_of_the_code(state: State) -> None:
    database = Database(state)
    async with database.transaction() as connection:
        differences = await connection.run_sync(_differences)
    await database.close()

    assert differences == []


async def test_tables_of_a_newer_version_are_refused(file: Path, sqlite_store: StateStore) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(
        StateError, match=r"^state\.url: the tables were made by a newer version .*9999.*: run that version"
    ):
        await StateStore(sqlite(file)).open()


async def test_another_applications_migrations_are_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")

    store = StateStore(sqlite(file))
    await store.save_summaries("narval", ended(make_job(1)))

    assert set(known(await store.summaries("narval", [1]))) == {1}
    await store.close()


async def test_a_migration_that_fails_leaves_nothing_behind(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE x (ended)")
        connection.execute("CREATE INDEX job_summary_ended ON x (ended)")

    with pytest.raises(StateError, match="job_summary_ended already exists"):
        await StateStore(sqlite(file)).open()

    with closing(sqlite3.connect(file)) as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == ["x"]


async def test_many_stores_open_a_new_file_at_once(file: Path) -> None:
    stores = [StateStore(sqlite(file)) for _ in range(8)]

    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))
