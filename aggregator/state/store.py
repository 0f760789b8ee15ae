"""What the service keeps of runs that have ended."""

import logging
from collections.abc import Collection
from typing import Any

import polars as pl
from sqlalchemy import delete, select

from aggregator import executors
from aggregator.config import State
from aggregator.parts.jobs.kept import KEPT
from aggregator.state.alerts import AlertStore, prune_alerts
from aggregator.state.database import BUSY_SECONDS, READ_SECONDS, Database
from aggregator.state.ledger import LedgerStore
from aggregator.state.scripts import ScriptStore, prune_scripts
from aggregator.state.summary import VERSION, Row, from_json, to_json
from aggregator.state.tables import JOB_SUMMARY
from aggregator.state.upsert import upsert

# Runs per statement: old SQLite takes 999 parameters, and the event loop gets a turn between statements.
CHUNK = 500

_log = logging.getLogger(__name__)


class StateStore:
    """Keep the service's own tables; opens none before `open` or the first use."""

    def __init__(self, state: State, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._database = Database(state, busy_seconds)
        self.ledger = LedgerStore(self._database)
        self.scripts = ScriptStore(self._database)
        self.alerts = AlertStore(self._database)

    async def open(self) -> None:
        """Create and migrate the tables.

        Raises StateError.
        """
        await self._database.open()

    @property
    def begun(self) -> int:
        """Count how often the tables were found empty, so that all must be kept anew."""
        return self._database.begun

    async def check(self) -> None:
        """See that the state answers.

        Raises StateError.
        """
        async with self._database.transaction(READ_SECONDS) as connection:
            await connection.execute(select(1))

    @property
    def set_aside(self) -> int:
        """Count the damaged files that lie beside the state."""
        return self._database.set_aside

    def connections(self) -> tuple[int, int]:
        """Count the connections that are open, and in use."""
        return self._database.connections()

    async def close(self) -> None:
        """Close every connection."""
        await self._database.close()

    async def save_summaries(self, cluster: str, ended: pl.DataFrame) -> None:
        """Keep the last use and efficiency of ended runs, all or none of them: KEPT, and whose and when they were.

        Raises StateError.
        """
        if ended.is_empty():
            return
        # In one order, so that two writers never wait for each other.
        ordered = ended.unique("run_id", keep="last").sort("run_id")
        async with self._database.transaction() as connection:
            statement = upsert(JOB_SUMMARY, connection.dialect.name)
            for chunk in ordered.iter_slices(CHUNK):
                await connection.execute(statement, [_row(cluster, row) for row in chunk.iter_rows(named=True)])

    async def summaries(self, cluster: str, run_ids: Collection[int]) -> pl.DataFrame:
        """Give what is kept of these runs (KEPT); runs without a summary are left out.

        Raises StateError.
        """
        table, wanted = JOB_SUMMARY.c, list(run_ids)
        columns = select(table.run_id, table.summary).where(table.cluster == cluster)
        found: dict[int, str] = {}
        async with self._database.transaction(READ_SECONDS) as connection:
            for begin in range(0, len(wanted), CHUNK):
                chunk = table.run_id.in_(wanted[begin : begin + CHUNK])
                found.update((run_id, text) for run_id, text in await connection.execute(columns.where(chunk)))
        return await executors.run(executors.STATE, _read, cluster, found)

    async def prune(self, before: float, scripts_before: float, alerts_before: float) -> int:
        """Delete what is kept of runs that ended, scripts that came and alerts that were last told before; count all.

        Times are epoch seconds. Raises StateError.
        """
        await self.ledger.prune(before)
        async with self._database.transaction() as connection:
            deleted = await connection.execute(delete(JOB_SUMMARY).where(JOB_SUMMARY.c.ended < before))
            scripts = await prune_scripts(connection, scripts_before)
            return deleted.rowcount + scripts + await prune_alerts(connection, alerts_before)


def _row(cluster: str, row: Row) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "run_id": row["run_id"],
        "job_id": row["job_id"],
        "submitted": row["submit_timestamp_seconds"] or 0.0,
        "started": row["start_timestamp_seconds"],
        "ended": row["end_timestamp_seconds"],
        "user": row["user"],
        "account": row["account"],
        "summary": to_json(row),
        "version": VERSION,
    }


def _read(cluster: str, found: dict[int, str]) -> pl.DataFrame:
    rows: list[Row] = []
    for run_id, text in found.items():
        try:
            rows.append({"run_id": run_id, **from_json(text)})
        except ValueError:
            _log.warning("summary is not readable: cluster=%s run_id=%d", cluster, run_id)
    return pl.DataFrame(rows, schema=KEPT)
