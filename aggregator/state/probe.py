"""Look whether the state can be opened, without creating or changing anything."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from aggregator import executors
from aggregator.config import State
from aggregator.state.database import BUSY_SECONDS
from aggregator.state.engine import CONNECT_SECONDS, create_engine
from aggregator.state.errors import StateError, state_error
from aggregator.state.location import client_tls, engine_url, place, sqlite_file


async def probe(state: State) -> str:
    """Give what there is to say of the state.

    Raises StateError with what to change.
    """
    try:
        if file := sqlite_file(state):
            return await executors.run(executors.STATE, _look_at, file)
        await _ask(state)
    except (SQLAlchemyError, sqlite3.Error, OSError, EOFError, RuntimeError) as error:
        raise state_error(error, place(state)) from error
    return ""


def _look_at(file: Path) -> str:
    """Read a SQLite file, and see whether this user may write to it; one that is not there is made by `serve`."""
    folder = file.parent
    if not file.exists():
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise StateError(f"state.url: cannot create {file}: let this user write to {folder}, or name another file")
        return f"{file} is not there yet: serve will create it"
    if not os.access(file, os.W_OK) or not os.access(folder, os.W_OK | os.X_OK):
        raise StateError(f"state.url: {file}: let this user write to the file and to its folder")
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", timeout=BUSY_SECONDS, uri=True)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return ""


async def _ask(state: State) -> None:
    engine = create_engine(engine_url(state), BUSY_SECONDS, client_tls(state))
    try:
        async with asyncio.timeout(CONNECT_SECONDS), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    finally:
        await engine.dispose()
