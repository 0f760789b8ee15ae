"""What a fetch costs the server on a table of 500,000 rows, 20,000 of them open."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from aggregator.model.view import SourceStatus
from aggregator.refresh.fetch import Feed
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab.mariadb import MariaDB
from tests.large_table import CLUSTER, NOW, LargeTable, handled

pytestmark = pytest.mark.mariadb

DATABASE, USER, PASSWORD = "slurm_acct_large", "large", "only for tests"
# One run has ended each second, so the retention time of 600 s holds 600.
ENDED, OPEN, RETENTION = 480_000, 20_000, 600.0


@pytest.fixture(scope="module")
def table(mariadb: MariaDB) -> Iterator[LargeTable]:
    ((before,),) = mariadb.execute("SELECT @@innodb_buffer_pool_size")
    mariadb.execute("SET GLOBAL innodb_buffer_pool_size=1024*1024*1024")
    table = LargeTable(mariadb, DATABASE, ENDED, OPEN)
    table.fill()
    mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    yield table
    mariadb.execute(f"DROP DATABASE `{DATABASE}`")
    mariadb.execute(f"SET GLOBAL innodb_buffer_pool_size={before}")


@pytest.fixture
async def database(mariadb: MariaDB, table: LargeTable) -> AsyncIterator[Database]:
    opened = Database(connection(mariadb))
    yield opened
    await opened.close()


def connection(mariadb: MariaDB) -> Connection:
    return Connection(
        key="clusters.narval-2.slurmacct", host="127.0.0.1", port=mariadb.port, user=USER, password=lambda: PASSWORD,
        database=DATABASE,
    )  # fmt: skip


async def test_a_fetch_reads_the_open_rows_and_those_that_have_ended_and_hardly_another(
    table: LargeTable, database: Database
) -> None:
    """30 runs end and 30 change between two fetches; a sweep reads those of the retention time as well."""
    source = SlurmAcct(CLUSTER, database, "key", RETENTION)
    assert len((await source.fetch(NOW)).runs) == OPEN + RETENTION
    for step, ended_rows in ((30, 30 + 120), (60, RETENTION)):
        table.change(step)
        before = await handled(database)
        runs = (await source.fetch(NOW + step)).runs
        assert await handled(database) - before <= 1.2 * (OPEN + ended_rows)
        assert sum(run.is_open for run in runs) == OPEN - step
        assert sum(run.time_limit_seconds == 7200 for run in runs) == step


async def test_a_fetch_that_is_too_slow_is_ended_by_the_server_and_the_source_says_so(
    mariadb: MariaDB, table: LargeTable
) -> None:
    database = Database(replace(connection(mariadb), statement_timeout=0.02))
    source = SlurmAcct(CLUSTER, database, "clusters.narval-2.slurmacct", RETENTION)
    statuses: list[SourceStatus] = []
    feed = Feed(source, CLUSTER, timeout=60, stale_after=300, publish=statuses.append, observe=lambda *_: None)

    assert await feed.fetch(NOW) is None

    running = mariadb.execute(
        "SELECT info FROM information_schema.processlist WHERE user=%s AND command='Query'", params=[USER]
    )
    await database.close()
    assert (statuses[-1].up, statuses[-1].error) == (
        False, "clusters.narval-2.slurmacct: the statement ran longer than statement_timeout",
    )  # fmt: skip
    assert running == []
