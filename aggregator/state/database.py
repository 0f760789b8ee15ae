"""The connection to the state's database: opened at first use, and opened anew after every error."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from aggregator.config import State
from aggregator.login import connect
from aggregator.state.errors import StateError, state_error
from aggregator.state.location import client_tls, create_file, engine_url, place, sqlite_file
from aggregator.state.schema import upgrade

BUSY_SECONDS = 5.0
CONNECT_SECONDS = 10.0
TRANSACTION_SECONDS = 30.0
CONNECTIONS = 8


class Database:
    """Give transactions on tables that are up to date; several stores may share one."""

    def __init__(self, state: State, busy_seconds: float = BUSY_SECONDS) -> None:
        self._state = state
        self._busy_seconds = busy_seconds
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()
        self._connections = asyncio.Semaphore(CONNECTIONS)

    async def open(self) -> None:
        """Create and migrate what is missing.

        Raises StateError.
        """
        async with self._errors():
            await self._opened()

    async def close(self) -> None:
        """Close every connection; the next use would open the database again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction; commit at the end, roll back on an error.

        Raises StateError.
        """
        async with self._errors(), self._connections:
            engine = await self._opened()
            async with asyncio.timeout(TRANSACTION_SECONDS), engine.begin() as connection:
                yield connection

    async def _opened(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                url = await asyncio.to_thread(self._prepare)
                self._engine = self._create_engine(url)
            return self._engine

    def _prepare(self) -> URL:
        url = engine_url(self._state)
        file = sqlite_file(self._state)
        if file is not None:
            create_file(file)
        upgrade(lambda: self._create_engine(url))
        return url

    def _create_engine(self, url: URL) -> AsyncEngine:
        return _create_engine(url, self._busy_seconds, client_tls(self._state))

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Turn the driver's errors into StateError, and begin anew: file, password or tables may have changed."""
        try:
            yield
        # A server that dies in the middle shows in the drivers as any of the last three.
        except (SQLAlchemyError, OSError, EOFError, RuntimeError) as error:
            await self.close()
            raise state_error(error, place(self._state)) from error


def _create_engine(url: URL, busy_seconds: float, tls: ssl.SSLContext | None) -> AsyncEngine:
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


def _release_lock(connection: DBAPIConnection, _: ConnectionPoolEntry, error: BaseException | None) -> None:
    """Roll back before a cancelled connection is closed: with a cursor left, closing alone would keep the lock."""
    if isinstance(error, asyncio.CancelledError):
        connection.rollback()


def _options(url: URL, busy_seconds: float, tls: ssl.SSLContext | None) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            # Connections are cheap, and an open one would go on writing to a file that was deleted or replaced.
            return {"poolclass": NullPool, "connect_args": {"timeout": busy_seconds}}
        case "postgresql":
            # asyncpg's own default takes TLS where the server has it, and checks no certificate.
            secure = {"ssl": tls} if tls else {}
            return {"pool_pre_ping": True, "connect_args": {"timeout": CONNECT_SECONDS, **secure}}
        case _:
            arguments = {
                "connect_timeout": CONNECT_SECONDS,
                "charset": "utf8mb4",
                "ssl": tls,
                "async_creator_fn": connect,
            }
            # REPEATABLE READ would lock the gaps between rows, and replicas would wait for each other.
            return {"pool_pre_ping": True, "isolation_level": "READ COMMITTED", "connect_args": arguments}
