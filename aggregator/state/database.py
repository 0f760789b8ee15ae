"""The connection to the state's database: opened at first use, and opened anew after every error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aggregator import executors
from aggregator.config import State
from aggregator.state.engine import create_engine
from aggregator.state.errors import state_error
from aggregator.state.location import create_file, engine_url, place, sqlite_file
from aggregator.state.schema import upgrade

BUSY_SECONDS = 5.0
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
                url = await executors.run(executors.STATE, self._prepare)
                self._engine = create_engine(url, self._busy_seconds)
            return self._engine

    def _prepare(self) -> URL:
        url = engine_url(self._state)
        file = sqlite_file(self._state)
        if file is not None:
            create_file(file)
        upgrade(lambda: create_engine(url, self._busy_seconds))
        return url

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Turn the driver's errors into StateError, and begin anew: file, password or tables may have changed."""
        try:
            yield
        # A server that dies in the middle shows in the drivers as any of the last three.
        except (SQLAlchemyError, OSError, EOFError, RuntimeError) as error:
            await self.close()
            raise state_error(error, place(self._state)) from error
