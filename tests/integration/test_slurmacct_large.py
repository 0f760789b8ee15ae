"""What a fetch costs the server on a table of 2,000,000 rows, 20,000 of them open."""

from collections.abc import AsyncIterator, Iterator

import pytest

from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab.mariadb import MariaDB
from tests.large_table import CLUSTER, NOW, LargeTable, handled

pytestmark = pytest.mark.mariadb

DATABASE, USER, PASSWORD = "slurm_acct_large", "large", "only for tests"
# One run has ended each second, so the retention time of 600 s holds 600.
ENDED, OPEN, RETENTION = 1_980_000, 20_000, 600.0


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
    opened = Database(
        Connection(
            key="key", host="127.0.0.1", port=mariadb.port, user=USER, password=lambda: PASSWORD, database=DATABASE
        )
    )
    yield opened
    await opened.close()


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
