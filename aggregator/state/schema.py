"""Bring the tables up to date with Alembic."""

import threading
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from aggregator.state.errors import StateError
from aggregator.state.tables import METADATA

# Not Alembic's default name: another application may use the same database.
VERSION_TABLE = "hpc_aggregator_version"

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK_KEY = 0x6870635F616767  # "hpc_agg"
_LOCK_SECONDS = 60
MIGRATE_SECONDS = 120.0
# Alembic's `context` and `op` are globals of the process.
_alembic = threading.Lock()


def upgrade(create_engine: Callable[[], AsyncEngine]) -> bool:
    """Run the missing migrations; True when there were no tables at all.

    Blocks and starts its own event loop, so call it in a thread. Raises StateError for tables of a newer version or of
    none, TimeoutError, and what the driver raises.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["create_engine"] = create_engine
    try:
        with _alembic:
            command.upgrade(config, "head")
            return bool(config.attributes["was_empty"])
    except CommandError as error:
        raise StateError(
            f"state.url: the tables were made by a newer version of hpc-aggregator ({error}): "
            "run that version, or name another database"
        ) from error


def lock(connection: Connection) -> None:
    """Wait until no other process migrates the same database, and keep others from it until commit or disconnect.

    Raises StateError when that takes too long.
    """
    match connection.dialect.name:
        case "sqlite":
            # Readers then do not wait for a writer. The mode stays with the file, and cannot change in a transaction.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
        case _:
            statement = f"SELECT GET_LOCK(CONCAT('{_LOCK_KEY}.', MD5(DATABASE())), {_LOCK_SECONDS})"
            if connection.exec_driver_sql(statement).scalar() != 1:
                raise StateError("state.url: another process has been migrating the tables for too long: try again")


def check_tables(connection: Connection) -> None:
    """Compare the tables with what the code declares: a stamped version says nothing of a migration put in below it.

    Raises StateError that names what is missing.
    """
    found = inspect(connection)
    there = set(found.get_table_names())
    missing = [table.name for table in METADATA.sorted_tables if table.name not in there]
    for table in METADATA.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)} if table.name in there else set()
        missing += [str(column) for column in table.columns if columns and column.name not in columns]
    if missing:
        remedy = (
            "restore a backup, or move the file away"
            if connection.dialect.name == "sqlite"
            else f"restore a backup, or drop these tables and {VERSION_TABLE}"
        )
        raise StateError(
            f"state.url: the tables say that they are of this version and lack {', '.join(missing)}: a development "
            f"version made them, or they were changed by hand: {remedy} (a new state begins from the sources)"
        )
