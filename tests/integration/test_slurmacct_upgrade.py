"""While slurmdbd changes its tables, it is not in our way for long, and we are never in its way."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager

import pymysql
import pytest

from aggregator.model.jobid import JobId
from aggregator.sources import mysql
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database, Row
from aggregator.sources.slurmacct import SlurmAcct
from aggregator.sources.slurmacct.pause import MAX_SECONDS
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables
from tests.slurmdbd import Slurmdbd

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW = "slurm_acct_upgrade", "narval-2", 1_700_000_000
KEY, USER, PASSWORD = "clusters.narval-2.slurmacct", "upgraded", "only for tests"
TABLE = f"`{CLUSTER}_job_table`"
CHANGING = f"{KEY}: slurmdbd is changing its tables: "


class CountingDatabase(Database):
    """A database that counts the statements that it is asked for."""

    statements = 0

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        self.statements += 1
        return await super().rows(sql, parameters)


@pytest.fixture
def writer(mariadb: MariaDB) -> Slurmdbd:
    create_tables(mariadb, DATABASE, "22.05", CLUSTER)
    mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    writer = Slurmdbd(mariadb, DATABASE, TABLE, NOW)
    for _ in range(3):
        writer.submit()
    return writer


@pytest.fixture
async def database(
    mariadb: MariaDB, writer: Slurmdbd, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CountingDatabase]:
    monkeypatch.setattr(mysql, "LOCK_WAIT_SECONDS", 1)
    opened = CountingDatabase(
        Connection(
            key=KEY, host="127.0.0.1", port=mariadb.port, user=USER, password=lambda: PASSWORD, database=DATABASE
        )
    )
    yield opened
    await opened.close()


@pytest.fixture
async def source(database: Database) -> SlurmAcct:
    source = SlurmAcct(CLUSTER, database, KEY, 600.0)
    assert len((await source.fetch(NOW)).runs) == 3
    return source


@contextmanager
def locked(mariadb: MariaDB) -> Iterator[None]:
    """Hold the lock that an ALTER holds while it puts the new table in place of the old one."""
    with closing(session(mariadb)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {TABLE} WRITE")
        yield


def session(mariadb: MariaDB) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(unix_socket=str(mariadb.socket), user="root", database=DATABASE, autocommit=True)


async def test_behind_an_alter_a_fetch_fails_soon_pauses_and_returns(
    mariadb: MariaDB, writer: Slurmdbd, database: CountingDatabase, source: SlurmAcct
) -> None:
    with locked(mariadb):
        with pytest.raises(FetchError) as first:
            await source.fetch(NOW + 30)
        assert str(first.value) == CHANGING + "the server made us wait for a lock: an ALTER is probably running"
        asked = database.statements
        for read in (source.fetch(NOW + 31), source.runs_of(JobId(2)), source.ended_since(NOW)):
            with pytest.raises(FetchError) as paused:
                await read
            assert str(paused.value) == str(first.value)
        assert database.statements == asked, "nothing is sent while the pause lasts"
        with pytest.raises(FetchError):
            await source.fetch(NOW + 60)
        assert database.statements > asked
    writer.submit()
    assert len((await source.fetch(NOW + 90)).runs) == 4
    assert len(await source.runs_of(JobId(2))) == 1


async def test_a_column_that_goes_and_comes_is_found_out_at_the_next_fetch(
    writer: Slurmdbd, database: CountingDatabase, source: SlurmAcct
) -> None:
    assert source.features["het_jobs"]
    writer.execute("ALTER TABLE {table} DROP COLUMN het_job_offset")
    with pytest.raises(FetchError, match=CHANGING + "Unknown column"):
        await source.fetch(NOW + 30)
    assert len((await source.fetch(NOW + 60)).runs) == 3
    assert not source.features["het_jobs"]
    writer.execute("ALTER TABLE {table} ADD COLUMN het_job_offset INT UNSIGNED NOT NULL DEFAULT 4294967294")
    assert len((await source.fetch(NOW + 90)).runs) == 3


async def test_a_table_that_is_away_for_a_while_takes_no_run_with_it(writer: Slurmdbd, source: SlurmAcct) -> None:
    writer.execute("RENAME TABLE {table} TO away")
    with pytest.raises(FetchError, match=CHANGING + "Table .* doesn't exist"):
        await source.fetch(NOW + 30)
    with pytest.raises(FetchError, match="narval-2_job_table is not granted, or not there"):
        await source.fetch(NOW + 60)
    writer.execute("RENAME TABLE away TO {table}")
    writer.upgrade()
    writer.end(writer.open[0], age=0)
    runs = (await source.fetch(NOW + 60 + MAX_SECONDS)).runs
    assert sorted(run.is_open for run in runs) == [False, True, True]


async def test_a_table_that_is_not_granted_is_not_called_an_upgrade(
    mariadb: MariaDB, writer: Slurmdbd, database: CountingDatabase
) -> None:
    tables = [
        f"{CLUSTER}_job_table",
        f"{CLUSTER}_assoc_table",
        "cluster_table",
        "tres_table",
        "qos_table",
        "acct_table",
    ]
    mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.`{table}`" for table in tables])
    source = SlurmAcct(CLUSTER, database, KEY, 600.0)
    assert len((await source.fetch(NOW)).runs) == 3
    mariadb.execute(f"REVOKE SELECT ON `{DATABASE}`.`{tables[0]}` FROM '{USER}'@'127.0.0.1'")
    for at, text in ((NOW + 1, "denied to user"), (NOW + 2, "narval-2_job_table is not granted")):
        with pytest.raises(FetchError, match=text) as caught:
            await source.fetch(at)
        assert "changing" not in str(caught.value)
    mariadb.execute(f"GRANT SELECT ON `{DATABASE}`.`{tables[0]}` TO '{USER}'@'127.0.0.1'")
    assert len((await source.fetch(NOW + 3)).runs) == 3


async def test_an_idle_connection_of_ours_holds_nothing_that_an_alter_waits_for(
    mariadb: MariaDB, writer: Slurmdbd, source: SlurmAcct
) -> None:
    """An open transaction would keep the table's lock, and NOWAIT would fail."""
    writer.execute("ALTER TABLE {table} NOWAIT ADD COLUMN later INT, ALGORITHM=COPY")
    transactions = mariadb.execute(
        "SELECT 1 FROM information_schema.innodb_trx JOIN information_schema.processlist ON id=trx_mysql_thread_id"
        " WHERE user=%s",
        params=[USER],
    )
    assert transactions == []
    assert len((await source.fetch(NOW + 30)).runs) == 3


async def test_alters_get_their_locks_while_fetches_go_on_without_a_break(
    mariadb: MariaDB, writer: Slurmdbd, source: SlurmAcct
) -> None:
    """slurmdbd's own sessions would wait for a day; here the server ends an ALTER that waits for 2 s."""
    done = asyncio.Event()
    answers: list[int] = []

    async def fetch_all_the_time() -> None:
        at = NOW
        while not done.is_set():
            at += MAX_SECONDS
            try:
                answers.append(len((await source.fetch(at)).runs))
            except FetchError as error:
                assert "changing its tables" in str(error)

    fetches = asyncio.create_task(fetch_all_the_time())
    await asyncio.to_thread(alter_again_and_again, mariadb)
    done.set()
    await fetches
    assert set(answers) == {3}
    assert len((await source.fetch(NOW + 1e6)).runs) == 3


def alter_again_and_again(mariadb: MariaDB) -> None:
    with closing(session(mariadb)) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout=2")
        for number in range(10):
            cursor.execute(f"ALTER TABLE {TABLE} ADD COLUMN later_{number} INT, ALGORITHM=COPY")
            cursor.execute(
                f"ALTER TABLE {TABLE} DROP COLUMN later_{number}, DROP PRIMARY KEY, ADD PRIMARY KEY (job_db_inx)"
            )
