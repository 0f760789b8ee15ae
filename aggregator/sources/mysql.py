"""Read-only access to a MariaDB or MySQL that belongs to somebody else.

Autocommit, READ COMMITTED, server-side time limits, no locks: an open transaction of ours would make slurmdbd's or
Robinhood's next ALTER wait, and everybody queue behind it.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from weakref import WeakSet

import aiomysql
import pymysql

from aggregator.login import Connection as Connected
from aggregator.login import Pool, TooLargeError
from aggregator.sources.base import FetchError

Row = tuple[Any, ...]
Read = Callable[..., Awaitable[list[Row]]]
# Rows decoded between two turns of the event loop: aiomysql decodes on the loop.
CHUNK_ROWS = 200
# What one statement may give: ten times what a large site has of anything that is read.
MAX_BYTES = 512 * 2**20
MAX_ROWS = 2_500_000
CONNECT_SECONDS = 5.0
# What the client waits beyond the server's own limit before it gives the connection up.
GRACE_SECONDS = 5.0
LOCK_WAIT_SECONDS = 5
# The only transactions that are ever open: an ALTER waits for them, and everybody behind it.
SNAPSHOT_SECONDS = 2
CUT_BYTES = (127, 255)  # where Robinhood and slurmdbd cut a name

_NO_SUCH_COLUMN, _NO_SUCH_TABLE, _TABLE_DENIED, _COLUMN_DENIED = 1054, 1146, 1142, 1143
_LOCK_WAIT, _TABLE_CHANGED = 1205, 1412
_TOO_SLOW, _TOO_SLOW_ON_MYSQL = 1969, 3024
_UNREACHABLE = 2003
# Errors from here to there are the driver's, the others are the server's.
_DRIVERS = range(2000, 3000)
_DENIED = (1045, 1698)
_HINTS = {
    1044: "user {user!r} may not use database {database!r}: check the GRANT",
    1045: "wrong user or password for {user!r}: check user and password_file",
    1049: "no database {database!r} on that server: check database",
    1698: "wrong user or password for {user!r}: check user and password_file",
    1040: "the server has too many connections",
    1203: "user {user!r} has too many connections: each replica of this service needs up to {connections} of them",
    1226: "user {user!r} has used up what it may: each replica of this service needs up to {connections} connections"
    " (MAX_USER_CONNECTIONS)",
    _LOCK_WAIT: "the server made us wait for a lock: an ALTER is probably running",
    _TOO_SLOW: "the statement ran longer than statement_timeout",
    _TOO_SLOW_ON_MYSQL: "the statement ran longer than statement_timeout",
    _UNREACHABLE: "cannot connect to {host}:{port}: check host and port, and that the server runs",
    2006: "the connection was lost",
    2013: "the connection was lost",
}


_databases: "WeakSet[Database]" = WeakSet()


class SchemaError(FetchError):
    """A table or column that was there is not there (any more), or may not be read."""


class DeniedError(SchemaError):
    """A table or column that may not be read: the GRANT does not cover it."""


class TooSlowError(FetchError):
    """A statement that the server ended at its limit."""


class TableLockedError(FetchError):
    """Somebody is changing the table: we waited for its lock in vain, or it changed under our feet."""


_ERRORS = {
    _TOO_SLOW: TooSlowError,
    _TOO_SLOW_ON_MYSQL: TooSlowError,
    _NO_SUCH_COLUMN: SchemaError,
    _NO_SUCH_TABLE: SchemaError,
    _TABLE_DENIED: DeniedError,
    _COLUMN_DENIED: DeniedError,
    _LOCK_WAIT: TableLockedError,
    _TABLE_CHANGED: TableLockedError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one database; key is the configuration path that error texts name.

    connections is how many of them the whole service may open as this user of this server.
    """

    key: str
    host: str
    database: str
    user: str
    password: Callable[[], str]
    port: int = 3306
    statement_timeout: float = 20.0
    pool_size: int = 4
    tls: ssl.SSLContext | None = None
    connections: int = 0

    @property
    def most(self) -> int:
        """The most connections that the service opens as this user."""
        return self.connections or self.pool_size


class Reads(Protocol):
    """What is read through: a database, or a replica with its primary behind it."""

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one SELECT and give all its rows.

        Raises FetchError.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Read]:
        """Give what reads as `rows` does, every time the same moment.

        Raises FetchError.
        """
        ...


def connections() -> dict[str, tuple[int, int]]:
    """Count the connections that are open, and in use, by the configuration key of their database."""
    counts: dict[str, tuple[int, int]] = {}
    for database in _databases:
        opened, used = counts.get(database.key, (0, 0))
        counts[database.key] = opened + database.opened, used + database.used
    return counts


class Database:
    """A small pool of guarded connections; opens none before the first read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pool: Pool | None = None
        self._guarded: WeakSet[Any] = WeakSet()
        self._encryption: str | None = None
        self.key = connection.key
        _databases.add(self)

    @property
    def opened(self) -> int:
        """Count the connections that are open."""
        return self._pool.size if self._pool else 0

    @property
    def used(self) -> int:
        """Count the connections that are in use."""
        return self._pool.size - self._pool.freesize if self._pool else 0

    @property
    def session(self) -> str:
        """Say whether the connection that was opened last is encrypted, and how many the service needs."""
        if self._encryption is None:
            return ""
        settings = self._connection
        encrypted = f"encrypted ({self._encryption})" if self._encryption else "not encrypted"
        return f"{encrypted}, up to {settings.most} connections of {settings.user!r} for each replica of this service"

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one SELECT and give all its rows; text that is cast to binary comes as bytes.

        Raises FetchError: SchemaError for a missing table or column, TableLockedError behind an ALTER.
        """
        limit = self._connection.statement_timeout + GRACE_SECONDS
        async with self._errors(), asyncio.timeout(limit):
            pool = self._open_pool()
            async with pool.acquire() as connection:
                await self._guard(connection)
                return await _read(connection, sql, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Read]:
        """Give what reads as `rows` does, every time the same moment, for half of SNAPSHOT_SECONDS.

        The last statement ends within the other half, even when nobody waits for it any more: the server sees to it.
        When this process is frozen between two statements, the server ends the transaction after SNAPSHOT_SECONDS.

        Raises FetchError (SchemaError for a missing table or column).
        """
        limit = SNAPSHOT_SECONDS / 2
        async with self._errors(), asyncio.timeout(self._connection.statement_timeout + GRACE_SECONDS):
            pool = self._open_pool()
            async with pool.acquire() as connection:
                await self._guard(connection)
                await _execute(connection, f"{_limit(connection, limit)}, wait_timeout={SNAPSHOT_SECONDS}")
                try:
                    await _execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    await _execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                    async with asyncio.timeout(limit):
                        yield partial(_read, connection)
                    await _execute(connection, "COMMIT")
                    usual = _limit(connection, self._connection.statement_timeout)
                    await _execute(connection, f"{usual}, wait_timeout=DEFAULT")
                except TimeoutError as error:
                    connection.close()
                    raise FetchError(
                        f"{self._connection.key}: one reading took longer than {limit:g} s: ask for less"
                    ) from error
                except BaseException:
                    # Whatever came in between: without its connection the transaction is over.
                    connection.close()
                    raise

    async def close(self) -> None:
        """Close every connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
            await pool.wait_closed()

    def _open_pool(self) -> Pool:
        if self._pool is None:
            settings = self._connection
            self._pool = Pool(
                settings.pool_size,
                recycle_seconds=300,
                host=settings.host,
                port=settings.port,
                user=settings.user,
                password=settings.password(),
                db=settings.database,
                charset="utf8mb4",
                autocommit=True,
                ssl=settings.tls,
                connect_timeout=CONNECT_SECONDS,
            )
        return self._pool

    async def _guard(self, connection: Any) -> None:
        """Set the session's limits once per connection."""
        if connection in self._guarded:
            return
        await _execute(connection, "SET SESSION TRANSACTION READ ONLY")
        await _execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        await _execute(connection, f"SET SESSION lock_wait_timeout={LOCK_WAIT_SECONDS}")
        await _execute(connection, _limit(connection, self._connection.statement_timeout))
        self._guarded.add(connection)
        self._encryption = connection.encryption

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Turn the driver's errors into a FetchError that names the key to fix.

        The pool is given up: a password or an address may have changed, and a broken stream must not be reused.
        """
        try:
            yield
        except TimeoutError as error:
            await self.close()
            limit = self._connection.statement_timeout + GRACE_SECONDS
            raise FetchError(f"{self._connection.key}: no answer within {limit:g} s") from error
        except TooLargeError as error:
            await self.close()
            most = f"{MAX_BYTES >> 20} MiB or {MAX_ROWS} rows"
            raise FetchError(f"{self._connection.key}: one statement gave more than {most}") from error
        except pymysql.err.MySQLError as error:
            await self._raise_fetch_error(error)
        # A server that dies in the middle shows in the driver as any of these.
        except (OSError, EOFError, struct.error, RuntimeError, ValueError, AttributeError, IndexError) as error:
            await self.close()
            raise FetchError(f"{self._connection.key}: the connection was lost ({error!r})") from error

    async def _raise_fetch_error(self, error: pymysql.err.MySQLError) -> None:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        settings = self._connection
        message = f"{settings.key}: {_describe(error, number, settings)}"
        if number in _ERRORS:
            # After these the session is as before, and others may be reading.
            raise _ERRORS[number](message) from error
        await self.close()
        raise FetchError(message) from error


def _describe(error: pymysql.err.MySQLError, number: int, settings: Connection) -> str:
    """Say what to do about an error, where that is known, and what the server itself said."""
    said = str(error.args[-1]) if error.args else repr(error)
    if number not in _HINTS:
        return said
    if isinstance(error.__cause__, ssl.SSLError):
        return f"no TLS with {settings.host}:{settings.port}: {error.__cause__}: check tls and the server's certificate"
    hint = _HINTS[number].format(
        user=settings.user,
        database=settings.database,
        host=settings.host,
        port=settings.port,
        connections=settings.most,
    )
    if number in _DENIED and settings.tls is None:
        hint += ", or set tls if this user must use it (REQUIRE SSL)"
    if number == _UNREACHABLE:
        return f"{hint} ({_reason(error.__cause__)})"
    # The words of those with a kind of their own say no more than the hint.
    return hint if number in _DRIVERS or number in _ERRORS else f"{hint} (the server says: {said[:300]})"


def _reason(cause: BaseException | None) -> str:
    """Tell a host that is not known from one that refuses, and from one that is silent."""
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return str(getattr(cause, "strerror", None) or cause)


def _limit(connection: Any, seconds: float) -> str:
    """Write the statement that limits the time of every later one of the session."""
    is_mariadb = "mariadb" in connection.get_server_info().lower()
    limit = f"max_statement_time={seconds:g}" if is_mariadb else f"max_execution_time={seconds * 1000:.0f}"
    return f"SET SESSION {limit}"


async def _execute(connection: Any, sql: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(sql)


async def _read(connection: Connected, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
    connection.allow(MAX_BYTES)
    async with connection.cursor(aiomysql.SSCursor) as cursor:
        await cursor.execute(sql, parameters)
        return await _fetch_in_chunks(connection, cursor)


async def _fetch_in_chunks(connection: Connected, cursor: Any) -> list[Row]:
    """Fetch all rows, giving the event loop a turn between chunks.

    Raises TooLargeError.
    """
    rows: list[Row] = []
    while chunk := await cursor.fetchmany(CHUNK_ROWS):
        rows.extend(chunk)
        if len(rows) > MAX_ROWS:
            connection.allow(0)
        await asyncio.sleep(0)
    return rows


def text(value: bytes | str | None) -> str:
    """Decode a text column read as bytes: UTF-8, else latin-1, always valid UTF-8 in the end.

    Slurm sets no client character set and cuts names at 255 bytes, in the middle of a character if need be.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        cut_short = len(value) in CUT_BYTES and error.reason == "unexpected end of data"
        return value[: error.start].decode() if cut_short else value.decode("latin-1")
