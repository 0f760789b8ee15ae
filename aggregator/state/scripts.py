"""Job scripts that an agent has delivered: each content once, however many jobs it belongs to."""

import zlib
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Text, bindparam, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from aggregator import executors
from aggregator.model.script import ScriptRecord
from aggregator.state.database import READ_SECONDS, Database
from aggregator.state.tables import JOB_SCRIPT, SCRIPT
from aggregator.state.upsert import upsert

# A job id is seldom used again within the retention time; nobody reads a longer list.
MAX_OF_JOB = 100


class ScriptStore:
    """Keep scripts in the state's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, cluster: str, scripts: Sequence[tuple[ScriptRecord, bytes]], now: float) -> frozenset[int]:
        """Keep scripts, all or none of them, each content once; give the positions of those that are new.

        Raises StateError.
        """
        if not scripts:
            return frozenset()
        contents = await executors.run(
            executors.STATE, _compress, {record.sha256: content for record, content in scripts}
        )
        # In one order, so that two writers never wait for each other.
        ordered = sorted(scripts, key=lambda script: (script[0].job_id, script[0].written_at))
        async with self._database.transaction() as connection:
            known = await _known(connection, cluster, {record.job_id for record, _ in scripts})
            for sha256 in sorted(contents):
                await connection.execute(*_keep(connection.dialect.name, sha256, contents[sha256], now))
            rows = [_row(cluster, record, now) for record, _ in ordered]
            await connection.execute(upsert(JOB_SCRIPT, connection.dialect.name), rows)
        return frozenset(
            position
            for position, (record, _) in enumerate(scripts)
            if (record.job_id, record.written_at, record.sha256) not in known
        )

    async def of_job(self, cluster: str, job_id: int) -> list[ScriptRecord]:
        """List what is kept of a job id, the newest first.

        Raises StateError.
        """
        table = JOB_SCRIPT.c
        columns = select(
            table.job_id, table.written, table.sha256, table.size, table.truncated, table.redactions
        ).where(table.cluster == cluster, table.job_id == job_id)
        async with self._database.transaction(READ_SECONDS) as connection:
            rows = await connection.execute(columns.order_by(table.written.desc()).limit(MAX_OF_JOB))
            return [
                ScriptRecord(
                    job_id=row.job_id,
                    written_at=row.written,
                    sha256=row.sha256,
                    size=row.size,
                    truncated=row.truncated,
                    redactions=row.redactions,
                )
                for row in rows
            ]

    async def hashes(self, cluster: str, job_ids: Collection[int]) -> Mapping[int, frozenset[str]]:
        """Give the hashes of what is kept of job ids, of each that has something.

        Raises StateError.
        """
        table, found = JOB_SCRIPT.c, dict[int, set[str]]()
        wanted = select(table.job_id, table.sha256).where(table.cluster == cluster, table.job_id.in_(sorted(job_ids)))
        async with self._database.transaction(READ_SECONDS) as connection:
            for row in await connection.execute(wanted):
                found.setdefault(row.job_id, set()).add(row.sha256)
        return {job_id: frozenset(of) for job_id, of in found.items()}

    async def content(self, sha256: str) -> bytes | None:
        """Give a content; None when it has been pruned.

        Raises StateError.
        """
        async with self._database.transaction(READ_SECONDS) as connection:
            found = await connection.execute(select(SCRIPT.c.content).where(SCRIPT.c.sha256 == sha256))
            content: bytes | None = found.scalar()
        return None if content is None else await executors.run(executors.STATE, zlib.decompress, content)


async def prune_scripts(connection: AsyncConnection, before: float) -> int:
    """Delete what was last received before epoch time `before`, and the contents that nothing refers to any more."""
    deleted = await connection.execute(delete(JOB_SCRIPT).where(JOB_SCRIPT.c.received < before))
    # By time too: a delivery that is being written renews the content before it is referred to.
    used = exists().where(JOB_SCRIPT.c.sha256 == SCRIPT.c.sha256)
    await connection.execute(delete(SCRIPT).where(SCRIPT.c.received < before, ~used))
    return deleted.rowcount


def _compress(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    return {sha256: zlib.compress(content) for sha256, content in contents.items()}


def _keep(dialect: str, sha256: str, content: bytes, now: float) -> tuple[Insert, dict[str, Any]]:
    """Make the statement that keeps a content; of one that is there only the time is new, from which prune counts."""
    statement, row = upsert(SCRIPT, dialect, "received"), {"sha256": sha256, "received": now}
    if dialect == "mysql":
        # aiomysql 0.3 cannot send bytes with PyMySQL 1.2, and as hexadecimal digits they would take twice the packet.
        text = bindparam("content_base64", type_=Text())
        return statement.values(content=func.from_base64(text)), {**row, text.key: b64encode(content).decode()}
    return statement, {**row, "content": content}


async def _known(connection: AsyncConnection, cluster: str, job_ids: set[int]) -> set[tuple[int, float, str]]:
    """Read what is kept of these jobs already."""
    table, wanted = JOB_SCRIPT.c, sorted(job_ids)
    columns = select(table.job_id, table.written, table.sha256).where(table.cluster == cluster)
    known: set[tuple[int, float, str]] = set()
    for begin in range(0, len(wanted), 500):
        chunk = table.job_id.in_(wanted[begin : begin + 500])
        known.update((row.job_id, row.written, row.sha256) for row in await connection.execute(columns.where(chunk)))
    return known


def _row(cluster: str, record: ScriptRecord, now: float) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "job_id": record.job_id,
        "written": record.written_at,
        "sha256": record.sha256,
        "size": record.size,
        "truncated": record.truncated,
        "redactions": record.redactions,
        "received": now,
    }
