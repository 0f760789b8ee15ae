"""The connection to the state's database: opened at first use, and opened anew after every error."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from aggregator import executors
from aggregator.config import State
from aggregator.state.damage import count_set_aside, is_damage, is_ours, set_aside
from aggregator.state.engine import CONNECT_SECONDS, create_engine, wait_for_threads
from aggregator.state.errors import StateError, state_error
from aggregator.state.location import client_tls, create_file, engine_url, place, sqlite_file
from aggregator.state.schema import upgrade

_log = logging.getLogger(__name__)
BUSY_SECONDS = 5.0
# How long is waited for the tables to be made or migrated, which goes on when nobody waits any more.
OPEN_SECONDS = 10.0
READ_SECONDS = 5.0
TRANSACTION_SECONDS = 30.0
# A server that does not answer is left alone for so long: not each of many requests must find out for itself.
REST_SECONDS = 5.0
CLOSE_SECONDS = 2.0
THREAD_SECONDS = 0.5
CONNECTIONS = 8


class Database:
    """Give transactions on tables that are up to date; several stores may share one.

    begun counts how often the tables were empty when they were opened, set_aside the damaged files beside the state.
    """

    def __init__(self, state: State, busy_seconds: float = BUSY_SECONDS) -> None:
        self.begun = 0
        self.set_aside = 0
        self._state = state
        self._busy_seconds = busy_seconds
        self._engine: AsyncEngine | None = None
        self._opening: asyncio.Task[AsyncEngine] | None = None
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._used = 0
        self._is_damaged = False
        self._rests_until = 0.0

    async def open(self) -> None:
        """Create and migrate what is missing.

        Raises StateError, also when that takes longer than OPEN_SECONDS; it then goes on.
        """
        async with self._errors(), asyncio.timeout(OPEN_SECONDS):
            await self._opened()

    async def close(self) -> None:
        """Close every connection; the next use would open the database again."""
        opening, self._opening = self._opening, None
        if opening is not None:
            # A driver's thread that is cut off has nobody to give its connection to.
            await asyncio.wait([opening], timeout=CLOSE_SECONDS)
            opening.cancel()
        await self._dispose()
        await wait_for_threads(THREAD_SECONDS)

    def connections(self) -> tuple[int, int]:
        """Count the connections that are open, and in use."""
        pool = self._engine.pool if self._engine else None
        return self._used + (pool.checkedin() if isinstance(pool, QueuePool) else 0), self._used

    @asynccontextmanager
    async def transaction(self, seconds: float | None = None) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction of at most so many seconds; commit at the end, roll back on an error.

        Raises StateError.
        """
        async with self._errors(), asyncio.timeout(seconds or TRANSACTION_SECONDS), self._connections:
            async with asyncio.timeout(OPEN_SECONDS):
                engine = await self._opened()
            async with self._connected(engine) as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_SECONDS):
                # The drivers' own limits end with TCP's handshake.
                connection = await stack.enter_async_context(engine.connect())
            self._used += 1
            try:
                yield connection
            finally:
                self._used -= 1

    async def _opened(self) -> AsyncEngine:
        """Give the engine; whoever waits for it no longer leaves the opening to the others."""
        if self._engine is not None:
            return self._engine
        if time.monotonic() < self._rests_until:
            raise TimeoutError
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name="open the state")
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._opening)

    async def _open(self) -> AsyncEngine:
        url = await executors.run(executors.STATE, self._prepare)
        self._engine = self._create_engine(url)
        return self._engine

    def _prepare(self) -> URL:
        url, file = engine_url(self._state), sqlite_file(self._state)
        if file is None:
            self._upgrade(url)
            return url
        if self._is_damaged:
            self._set_aside(file)
        create_file(file)
        try:
            self._upgrade(url)
        except SQLAlchemyError as error:
            if not is_damage(error) or not is_ours(file):
                raise
            self._set_aside(file)
            create_file(file)
            self._upgrade(url)
        self.set_aside = count_set_aside(file)
        return url

    def _upgrade(self, url: URL) -> None:
        self.begun += upgrade(lambda: self._create_engine(url))

    def _create_engine(self, url: URL) -> AsyncEngine:
        return create_engine(url, self._busy_seconds, client_tls(self._state))

    def _set_aside(self, file: Path) -> None:
        """Make place for a new file.

        Raises StateError when the folder cannot be written to.
        """
        try:
            kept = set_aside(file)
        except OSError as error:
            raise StateError(f"state.url: {file} is damaged and cannot be renamed: {error.strerror}") from error
        self._is_damaged = False
        _log.error(
            "the state was damaged and begins anew: file=%s kept=%s lost=%s",
            file, kept.name, "alerts, summaries and scripts of ended jobs, energy totals older than energy.backfill",
        )  # fmt: skip

    async def _dispose(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await engine.dispose()

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Turn the driver's errors into StateError, and begin anew: file, password or tables may have changed."""
        try:
            yield
        # A server that dies in the middle shows in the drivers as any of the last three.
        except (SQLAlchemyError, OSError, EOFError, RuntimeError) as error:
            if isinstance(error, TimeoutError) and self._rests_until < time.monotonic() and self._is_server():
                self._rests_until = time.monotonic() + REST_SECONDS
            self._is_damaged = self._is_damaged or is_damage(error)
            await self._dispose()
            raise state_error(error, place(self._state)) from error

    def _is_server(self) -> bool:
        return sqlite_file(self._state) is None
