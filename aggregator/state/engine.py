"""How the three databases are connected to."""

import asyncio
import ssl
import threading
import time
from typing import Any
from weakref import WeakSet

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from aggregator import login
from aggregator.state.errors import StateError

# Less than a refresh waits for the state.
CONNECT_SECONDS = 4.0
_ABANDON_SECONDS = 1.0
_POLL_SECONDS = 0.01
# Of SQLite's connections, one each.
_threads: WeakSet[threading.Thread] = WeakSet()


def create_engine(url: URL, busy_seconds: float, tls: ssl.SSLContext | None) -> AsyncEngine:
    """Make what connects to the state; it opens nothing yet.

    Raises StateError when the database's driver is not installed.
    """
    try:
        engine = create_async_engine(url, hide_parameters=True, **_options(url, busy_seconds, tls))
    except ModuleNotFoundError as error:
        raise StateError(
            f"state.url: {url.get_backend_name()}:// needs the Python package {error.name}, which is not installed: "
            f"pip install {error.name}"
        ) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "invalidate", _release_lock)
    return engine


async def wait_for_threads(seconds: float) -> None:
    """Wait until the threads of cancelled queries have ended: they answer to this event loop."""
    until = time.monotonic() + seconds
    # The end of a thread has no event to wait for.
    while any(thread.is_alive() for thread in [*_threads]) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)


async def _open_file(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Open the file in a thread; cancelled, wait for it: left alone, it would outlive the event loop."""
    connection = aiosqlite.connect(*arguments, **options)
    # One that hangs must not hold up the end of the process.
    connection._thread.daemon = True
    _threads.add(connection._thread)
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # Cancelled again, it must be closed all the same.
        await asyncio.shield(asyncio.ensure_future(_abandon(connection, opening)))
        raise


async def _abandon(connection: aiosqlite.Connection, opening: asyncio.Future[aiosqlite.Connection]) -> None:
    await asyncio.wait([opening], timeout=_ABANDON_SECONDS)
    if opening.done() and not opening.exception():
        await connection.close()


def _release_lock(connection: DBAPIConnection, _: ConnectionPoolEntry, error: BaseException | None) -> None:
    """Roll back before a cancelled connection is closed: with a cursor left, closing alone would keep the lock."""
    if isinstance(error, asyncio.CancelledError):
        connection.rollback()


def _options(url: URL, busy_seconds: float, tls: ssl.SSLContext | None) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            # Connections are cheap, and an open one would go on writing to a file that was deleted or replaced.
            connect = {"timeout": busy_seconds, "async_creator_fn": _open_file}
            return {"poolclass": NullPool, "connect_args": connect}
        case "postgresql":
            # asyncpg's own default takes TLS where the server has it, and checks no certificate.
            secure = {"ssl": tls} if tls else {}
            return {"pool_pre_ping": True, "connect_args": {"timeout": CONNECT_SECONDS, **secure}}
        case _:
            arguments = {
                "connect_timeout": CONNECT_SECONDS,
                "charset": "utf8mb4",
                "ssl": tls,
                # A server that is not strict writes 0 and "" for what is missing, and says nothing.
                "sql_mode": "TRADITIONAL",
                "async_creator_fn": login.connect,
            }
            # REPEATABLE READ would lock the gaps between rows, and replicas would wait for each other.
            return {"pool_pre_ping": True, "isolation_level": "READ COMMITTED", "connect_args": arguments}
