"""Keep the ledger: every window is added exactly once, whoever adds it."""

from collections.abc import Collection, Iterable
from itertools import repeat
from typing import Any, Final

import polars as pl
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from aggregator import executors
from aggregator.ledger.stored import Rows, from_rows, to_rows
from aggregator.model.ledger import LedgerTotals
from aggregator.state.database import READ_SECONDS, Database
from aggregator.state.errors import StateError
from aggregator.state.tables import (
    LEDGER_NODE,
    LEDGER_POSITION,
    LEDGER_RUN,
    LEDGER_USER,
    RUN_ID_DIGITS,
    Name,
    RunId,
    storable,
)
from aggregator.state.upsert import upsert

# In the order of the frames of `to_rows`.
_TABLES: Final = (LEDGER_RUN, LEDGER_USER, LEDGER_NODE)
# Rows per statement: the event loop gets a turn between statements.
CHUNK = 500


class LedgerStore:
    """The ledger of each cluster in the state's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, cluster: str, keep_seconds: float) -> LedgerTotals | None:
        """Read a cluster's ledger, with the runs of the last `keep_seconds`; None before its first window.

        Raises StateError.
        """
        position, runs, users, nodes = LEDGER_POSITION.c, LEDGER_RUN.c, LEDGER_USER.c, LEDGER_NODE.c
        async with self._database.transaction() as connection:
            end = await connection.scalar(select(position.window_end).where(position.cluster == cluster))
            if end is None:
                return None
            newer = select(runs.run_id, runs.totals).where(runs.cluster == cluster, runs.until >= end - keep_seconds)
            of_users = select(users.user, users.account, users.totals).where(users.cluster == cluster)
            of_nodes = select(nodes.node, nodes.totals).where(nodes.cluster == cluster)
            found = [tuple(await connection.execute(rows)) for rows in (newer, of_users, of_nodes)]
        return await executors.run(executors.STATE, _read, cluster, end, *found)

    async def save(self, cluster: str, totals: LedgerTotals, before: float | None) -> bool:
        """Move the ledger on from the window that ended at `before` (None: the first), all of it or nothing.

        False when somebody else has moved it: what there is must be loaded anew. Raises StateError.
        """
        # The totals of those that the new windows did not touch have not changed.
        written = await executors.run(executors.STATE, to_rows, totals, float("-inf") if before is None else before)
        async with self._database.transaction() as connection:
            if not await _move(connection, cluster, totals.window_end, before):
                return False
            # In the order of keys: two writers never wait for each other.
            for table, frame in zip(_TABLES, written, strict=True):
                statement = str(upsert(table, connection.dialect.name).compile(dialect=connection.dialect))
                for chunk in frame.iter_slices(CHUNK):
                    await connection.exec_driver_sql(statement, _parameters(table, cluster, chunk))
            return True

    async def runs(self, cluster: str, run_ids: Collection[int]) -> LedgerTotals:
        """Give the totals of these runs, and of nobody else; runs without any are left out.

        Raises StateError.
        """
        table, wanted = LEDGER_RUN.c, list(run_ids)
        columns = select(table.run_id, table.totals).where(table.cluster == cluster)
        found: list[tuple[int, str]] = []
        async with self._database.transaction(READ_SECONDS) as connection:
            for begin in range(0, len(wanted), CHUNK):
                rows = await connection.execute(columns.where(table.run_id.in_(wanted[begin : begin + CHUNK])))
                found += [(run_id, totals) for run_id, totals in rows]
        return await executors.run(executors.STATE, _read, cluster, 0.0, found, (), ())

    async def prune(self, before: float) -> int:
        """Delete the totals of runs that ended before epoch time `before`, and give their number.

        Users, accounts and nodes keep theirs: counters never go back. Raises StateError.
        """
        async with self._database.transaction() as connection:
            return (await connection.execute(delete(LEDGER_RUN).where(LEDGER_RUN.c.until < before))).rowcount


def _parameters(table: Table, cluster: str, rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Write rows as the types of the table's columns do; SQLAlchemy would ask these for each value of each row."""
    written = [_written(table.c[column.name].type, column) for column in rows]
    return list(zip(repeat(storable(cluster)), *written, strict=False))


def _written(kind: TypeEngine[Any], values: pl.Series) -> Iterable[Any]:
    if isinstance(kind, RunId):
        values = values.cast(pl.String).str.zfill(RUN_ID_DIGITS)
    return map(storable, values) if isinstance(kind, Name) else values.to_list()


async def _move(connection: AsyncConnection, cluster: str, end: float, before: float | None) -> bool:
    """Take the position from `before` to `end`; the row's lock keeps others out until the transaction ends."""
    position = LEDGER_POSITION.c
    if before is not None:
        at_before = (position.cluster == cluster) & (position.window_end == before)
        return (await connection.execute(update(LEDGER_POSITION).where(at_before).values(window_end=end))).rowcount == 1
    try:
        async with connection.begin_nested():
            await connection.execute(insert(LEDGER_POSITION).values(cluster=cluster, window_end=end))
    except IntegrityError:
        return False
    return True


def _read(cluster: str, window_end: float, runs: Rows, users: Rows, nodes: Rows) -> LedgerTotals:
    """Read totals.

    Raises StateError: a ledger that silently began anew would make counters go back.
    """
    try:
        return from_rows(window_end, runs, users, nodes)
    except ValueError as error:
        raise StateError(f"state.url: the ledger of {cluster}: {error}") from error
