"""Keep alerts: each once, however often and by how many Alertmanagers it is told, and counts that outlive them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import orjson
import polars as pl
from sqlalchemy import Table, delete, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator import executors
from aggregator.model.alert import ALERT_COUNTS, AlertCounts, WasteAlert
from aggregator.parts.alerts.columns import ALERTS
from aggregator.state.database import READ_SECONDS, Database
from aggregator.state.errors import StateError
from aggregator.state.tables import ALERT, ALERT_COUNT, ALERT_REVISION
from aggregator.state.upsert import upsert

# Rows per statement: the event loop gets a turn between statements.
CHUNK: Final = 500
# Of a user's count: more than anybody has rules. A row of MariaDB's TEXT ends at 64 KiB.
MAX_REASONS: Final = 50
OTHER_REASONS: Final = "_other"
_Key = tuple[str, float]
_Owner = tuple[str, str]
# In the order of ALERTS.
_SHOWN: Final = (
    ALERT.c.job_id, ALERT.c.user, ALERT.c.account, ALERT.c.reason, ALERT.c.severity, ALERT.c.start,
    ALERT.c.first_notified, ALERT.c.last_notified, ALERT.c.resolved, ALERT.c.fingerprint,
)  # fmt: skip


class AlertStore:
    """Keep alerts in the state's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, alerts: Sequence[WasteAlert], now: float) -> int:
        """Keep what people are told at epoch time `now`, all of it or nothing; give how many alerts are new.

        Raises StateError.
        """
        by_cluster: dict[str, dict[_Key, WasteAlert]] = {}
        for alert in alerts:
            by_cluster.setdefault(alert.cluster, {})[alert.fingerprint, alert.start] = alert
        if not by_cluster:
            return 0
        async with self._database.transaction() as connection:
            # In one order: two writers never wait for each other.
            return sum([await _save(connection, name, told, now) for name, told in sorted(by_cluster.items())])

    async def newest(
        self,
        cluster: str,
        most: int,
        wanted: Mapping[str, Collection[Any]],
        seen: tuple[str | None, Collection[str]] | None = None,
    ) -> pl.DataFrame:
        """Give alerts (ALERTS) of which people were told last, the newest first, with these values of columns.

        seen limits them to those of a user and those of accounts. Raises StateError.
        """
        conditions = [ALERT.c.cluster == cluster, *(ALERT.c[name].in_(list(values)) for name, values in wanted.items())]
        if seen is not None:
            user, accounts = seen
            # Without what can hold of none, which would hide from SQLite that there is an index of users.
            own = [ALERT.c.user == user] if user is not None else []
            conditions.append(or_(false(), *own, *([ALERT.c.account.in_(sorted(accounts))] if accounts else [])))
        # SQLite would go through all alerts in their order rather than sort the few of a job or a user.
        last = ALERT.c.last_notified if len(conditions) == 1 else ALERT.c.last_notified + 0
        rows = select(*_SHOWN).where(*conditions).limit(most)
        rows = rows.order_by(last.desc(), ALERT.c.fingerprint.desc(), ALERT.c.start.desc())
        async with self._database.transaction(READ_SECONDS) as connection:
            found = (await connection.execute(rows)).all()
        return await executors.run(executors.STATE, _frame, found)

    async def counts(self, cluster: str, known: AlertCounts | None) -> AlertCounts:
        """Give a cluster's counts: those that are known where they have not changed.

        Raises StateError.
        """
        of_cluster = select(ALERT_REVISION.c.revision).where(ALERT_REVISION.c.cluster == cluster)
        table = ALERT_COUNT.c
        rows = select(table.user, table.account, table.counts, table.until).where(table.cluster == cluster)
        async with self._database.transaction(READ_SECONDS) as connection:
            revision = await connection.scalar(of_cluster) or ""
            if known and known.revision == revision:
                return known
            found = (await connection.execute(rows)).all()
        return AlertCounts(revision, await executors.run(executors.STATE, _counts, found))


async def prune_alerts(connection: AsyncConnection, before: float) -> int:
    """Delete the alerts of which people were last told before then; the counts stay, for counters never go back."""
    # The index of times begins with the cluster.
    of_any = ALERT.c.cluster.in_(select(ALERT_REVISION.c.cluster))
    return (await connection.execute(delete(ALERT).where(of_any, ALERT.c.last_notified < before))).rowcount


async def _save(connection: AsyncConnection, cluster: str, told: Mapping[_Key, WasteAlert], now: float) -> int:
    revision = {"cluster": cluster, "revision": uuid4().hex}
    await connection.execute(upsert(ALERT_REVISION, connection.dialect.name), revision)
    before = await _known(connection, cluster, sorted({fingerprint for fingerprint, _ in told}))
    rows = [_row(told[key], before.get(key), now) for key in sorted(told)]
    await _write(connection, ALERT, rows, "last_notified", "resolved")
    new = [alert for key, alert in told.items() if key not in before]
    await _count(connection, cluster, new, now)
    return len(new)


async def _write(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]], *replaced: str) -> None:
    statement = upsert(table, connection.dialect.name, *replaced)
    for begin in range(0, len(rows), CHUNK):
        await connection.execute(statement, rows[begin : begin + CHUNK])


async def _known(connection: AsyncConnection, cluster: str, fingerprints: Sequence[str]) -> dict[_Key, float]:
    """Give when people were last told of each alert that is known."""
    table = ALERT.c
    columns = select(table.fingerprint, table.start, table.last_notified).where(table.cluster == cluster)
    known: dict[_Key, float] = {}
    for begin in range(0, len(fingerprints), CHUNK):
        chunk = table.fingerprint.in_(fingerprints[begin : begin + CHUNK])
        known.update(((row[0], row[1]), row[2]) for row in await connection.execute(columns.where(chunk)))
    return known


def _row(alert: WasteAlert, last: float | None, now: float) -> dict[str, Any]:
    """Make the row of an alert; the clock of another replica, or ours before, may have been ahead."""
    return {
        "cluster": alert.cluster, "fingerprint": alert.fingerprint, "start": alert.start, "job_id": alert.job_id,
        "user": alert.user, "account": alert.account, "reason": alert.reason, "severity": alert.severity,
        "first_notified": now, "last_notified": now if last is None else max(last, now), "resolved": alert.resolved,
    }  # fmt: skip


async def _count(connection: AsyncConnection, cluster: str, new: Iterable[WasteAlert], now: float) -> None:
    """Add new alerts to the counts of their users."""
    added: dict[_Owner, Counter[str]] = {}
    for alert in new:
        added.setdefault((alert.user, alert.account or ""), Counter())[alert.reason or ""] += 1
    table, users = ALERT_COUNT.c, sorted({user for user, _ in added})
    columns = select(table.user, table.account, table.counts, table.until).where(table.cluster == cluster)
    known: dict[_Owner, tuple[str, float]] = {}
    for begin in range(0, len(users), CHUNK):
        rows = await connection.execute(columns.where(table.user.in_(users[begin : begin + CHUNK])))
        known.update(((row.user, row.account), (row.counts, row.until)) for row in rows)
    await _write(connection, ALERT_COUNT, [
        {"cluster": cluster, "user": owner[0], "account": owner[1], **_added(*known.get(owner, ("{}", now)), more, now)}
        for owner, more in added.items()
    ])  # fmt: skip


def _added(counts: str, until: float, more: Counter[str], now: float) -> dict[str, Any]:
    known = _read(counts)
    for reason, count in sorted(more.items()):
        name = reason if reason in known or len(known) < MAX_REASONS else OTHER_REASONS
        known[name] = known.get(name, 0) + count
    return {"counts": orjson.dumps(known).decode(), "until": max(until, now)}


def _read(counts: str) -> dict[str, int]:
    """Read counts by reason.

    Raises StateError: counts that silently began anew would go back.
    """
    try:
        return {str(reason): int(count) for reason, count in orjson.loads(counts).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise StateError(f"state.url: the counts of alerts: {error}") from error


def _counts(found: Iterable[Any]) -> pl.DataFrame:
    rows = [
        (user, account, reason, count, until)
        for user, account, counts, until in found
        for reason, count in _read(counts).items()
    ]
    return pl.DataFrame(rows, schema=ALERT_COUNTS, orient="row")


def _frame(found: Iterable[Any]) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in found], schema=ALERTS.schema, orient="row")
