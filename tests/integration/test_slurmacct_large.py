"""What a fetch costs the server on a table of 2,000,000 rows, 20,000 of them open."""

from collections.abc import AsyncIterator, Iterator

import pytest

from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW = "slurm_acct_large", "narval-2", 1_700_000_000
TABLE, USER, PASSWORD = f"`{CLUSTER}_job_table`", "large", "only for tests"
# One run has ended each second, so the retention time of 600 s holds 600.
ENDED, OPEN, RETENTION = 1_980_000, 20_000, 600.0
# Indexes that no statement of a fetch can use: without them the table is filled faster.
UNUSED = (
    "wckey", "qos", "association", "array_job", "het_job", "reserv", "sacct_def", "sacct_def2", "old_tuple",
    "nodes_alloc", "env_hash_inx", "script_hash_inx", "sluid",
)  # fmt: skip
FIRST, BEGIN = 9223373136366403584, NOW - ENDED
FILL = f"""
INSERT INTO {TABLE} (job_db_inx, mod_time, account, cpus_req, job_name, id_assoc, id_job, id_qos, id_resv, id_wckey,
  id_user, id_group, het_job_id, het_job_offset, mem_req, nodelist, nodes_alloc, `partition`, priority, state,
  timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req, array_max_tasks)
SELECT {FIRST} + seq, 0, 'def-kim', 4, 'job', 1, seq, 1, 0, 0, 1000, 1, 0, 4294967294, 0, 'node[01-02]', 2, 'cpu', 1,
  IF(seq <= {ENDED}, 3, 1), 60, {BEGIN} + seq - 900, {BEGIN} + seq - 900, {BEGIN} + seq - 800,
  IF(seq <= {ENDED}, {BEGIN} + seq, 0), '1=4,2=8000,4=2,1001=2', '1=4,2=8000,4=2', 0
FROM seq_1_to_{ENDED + OPEN}
"""


@pytest.fixture(scope="module")
def table(mariadb: MariaDB) -> Iterator[None]:
    create_tables(mariadb, DATABASE, "26.05", CLUSTER)
    mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    drops = ", ".join(f"DROP INDEX {index}" for index in UNUSED)
    mariadb.execute(f"ALTER TABLE {TABLE} {drops}", DATABASE)
    ((before,),) = mariadb.execute("SELECT @@innodb_buffer_pool_size")
    mariadb.execute("SET GLOBAL innodb_buffer_pool_size=1024*1024*1024")
    mariadb.execute(FILL, DATABASE)
    mariadb.execute(f"ANALYZE TABLE {TABLE}", DATABASE)
    yield
    mariadb.execute(f"DROP DATABASE `{DATABASE}`")
    mariadb.execute(f"SET GLOBAL innodb_buffer_pool_size={before}")


@pytest.fixture
async def database(mariadb: MariaDB, table: None) -> AsyncIterator[Database]:
    opened = Database(
        Connection(
            key="key", host="127.0.0.1", port=mariadb.port, user=USER, password=lambda: PASSWORD, database=DATABASE
        )
    )
    yield opened
    await opened.close()


async def handled(database: Database) -> int:
    """Give the rows of tables and entries of indexes that this session has read."""
    names = (
        "Handler_read_key",
        "Handler_read_next",
        "Handler_read_prev",
        "Handler_read_first",
        "Handler_read_rnd_next",
    )
    counters = dict(await database.rows("SHOW SESSION STATUS LIKE 'Handler_read%%'"))
    return sum(int(counters[name]) for name in names)


async def test_a_fetch_reads_the_open_rows_and_those_that_have_ended_and_hardly_another(
    mariadb: MariaDB, database: Database
) -> None:
    """30 runs end and 30 change between two fetches; a sweep reads those of the retention time as well."""
    source = SlurmAcct(CLUSTER, database, "key", RETENTION)
    assert len((await source.fetch(NOW)).runs) == OPEN + RETENTION
    for step, ended_rows in ((30, 30 + 120), (60, RETENTION)):
        change(mariadb, step)
        before = await handled(database)
        runs = (await source.fetch(NOW + step)).runs
        assert await handled(database) - before <= 1.2 * (OPEN + ended_rows)
        assert sum(run.is_open for run in runs) == OPEN - step
        assert sum(run.time_limit_seconds == 7200 for run in runs) == step


def change(mariadb: MariaDB, step: int) -> None:
    """End the 30 oldest open runs, and change the time limit of the 30 newest that have not been changed."""
    for assignments, last in (
        (f"state=3, time_end={NOW + step}", FIRST + ENDED + step),
        ("timelimit=120", FIRST + ENDED + OPEN - step + 30),
    ):
        mariadb.execute(
            f"UPDATE {TABLE} SET {assignments} WHERE job_db_inx>{last - 30} AND job_db_inx<={last}", DATABASE
        )
