"""Bring the tables up to date with Alembic."""

import threading
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from aggregator.state.errors import StateError

# Not Alembic's default name: another application may use the same database.
VERSION_TABLE = "hpc_aggregator_version"

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK_KEY = 0x6870635F616767  # "hpc_agg"
_LOCK_SECONDS = 60
# Alembic's `context` and `op` are globals of the process.
_alembic = threading.Lock()


def upgrade(create_engine: Callable[[], AsyncEngine]) -> None:
    """Run the missing migrations; blocks and starts its own event loop, so call it in a thread.

    Raises StateError for tables of a newer version, and what the driver raises.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["create_engine"] = create_engine
    try:
        with _alembic:
            command.upgrade(config, "head")
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
