"""Keep the ledger: every window is added exactly once, whoever adds it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.model.energy import Ledger, NodeTotals, RunLedger, Totals
from aggregator.state.database import READ_SECONDS, Database
from aggregator.state.errors import StateError
from aggregator.state.tables import LEDGER_NODE, LEDGER_POSITION, LEDGER_RUN, LEDGER_USER
from aggregator.state.totals import from_json, to_json
from aggregator.state.upsert import upsert

K = TypeVar("K", int, str, tuple[str, str])
T = TypeVar("T", RunLedger, Totals, NodeTotals)
# Rows per statement: the event loop gets a turn between statements.
CHUNK = 500


class LedgerStore:
    """The ledger of each cluster in the state's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, cluster: str, keep_seconds: float) -> Ledger | None:
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
            return Ledger(
                end,
                _read(RunLedger, f"{cluster}: run", await connection.execute(newer)),
                _read(Totals, f"{cluster}: user", await connection.execute(of_users)),
                _read(NodeTotals, f"{cluster}: node", await connection.execute(of_nodes)),
            )

    async def save(self, cluster: str, ledger: Ledger, before: float | None) -> bool:
        """Move the ledger on from the window that ended at `before` (None: the first), all of it or nothing.

        False when somebody else has moved it: what there is must be loaded anew. Raises StateError.
        """
        async with self._database.transaction() as connection:
            if not await _move(connection, cluster, ledger.window_end, before):
                return False
            # The totals of those that the new windows did not touch have not changed.
            since = float("-inf") if before is None else before
            for table, rows in _rows(cluster, ledger, since):
                statement = upsert(table, connection.dialect.name)
                for begin in range(0, len(rows), CHUNK):
                    await connection.execute(statement, rows[begin : begin + CHUNK])
            return True

    async def runs(self, cluster: str, run_ids: Collection[int]) -> dict[int, RunLedger]:
        """Give the totals of these runs; runs without any are left out.

        Raises StateError.
        """
        table, wanted = LEDGER_RUN.c, list(run_ids)
        columns = select(table.run_id, table.totals).where(table.cluster == cluster)
        found: dict[int, RunLedger] = {}
        async with self._database.transaction(READ_SECONDS) as connection:
            for begin in range(0, len(wanted), CHUNK):
                rows = await connection.execute(columns.where(table.run_id.in_(wanted[begin : begin + CHUNK])))
                found.update(_read(RunLedger, f"{cluster}: run", rows))
        return found

    async def prune(self, before: float) -> int:
        """Delete the totals of runs that ended before epoch time `before`, and give their number.

        Users, accounts and nodes keep theirs: counters never go back. Raises StateError.
        """
        async with self._database.transaction() as connection:
            return (await connection.execute(delete(LEDGER_RUN).where(LEDGER_RUN.c.until < before))).rowcount


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


def _read(kind: type[T], of_whom: str, rows: Iterable[Any]) -> dict[Any, T]:
    """Read totals by key.

    Raises StateError: a ledger that silently began anew would make counters go back.
    """
    totals: dict[Any, T] = {}
    for *key, text in rows:
        name = tuple(key) if len(key) > 1 else key[0]
        try:
            totals[name] = from_json(kind, text)
        except ValueError as error:
            raise StateError(
                f"state.url: the ledger of {of_whom} {name}: its totals cannot be read: {error}"
            ) from error
    return totals


def _rows(cluster: str, ledger: Ledger, since: float) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """Give what was touched after `since` as rows by table, in key order: two writers never wait for each other."""
    yield LEDGER_RUN, _changed(cluster, ledger.runs, since, lambda run_id: {"run_id": run_id})
    yield LEDGER_USER, _changed(cluster, ledger.users, since, lambda key: {"user": key[0], "account": key[1]})
    yield LEDGER_NODE, _changed(cluster, ledger.nodes, since, lambda node: {"node": node})


def _changed(
    cluster: str, totals: Mapping[K, RunLedger | Totals | NodeTotals], since: float, key: Callable[[K], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {"cluster": cluster, **key(name), "until": of.until, "totals": to_json(of)}
        for name, of in sorted(totals.items(), key=lambda item: item[0])
        if of.until > since
    ]
