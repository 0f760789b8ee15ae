"""slurmacct's statements and source against a real MariaDB with slurmdbd's own tables."""

import re
from collections.abc import AsyncIterator, Callable

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.jobid import JobId
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, statements
from aggregator.sources.slurmacct.schema import Schema, discover
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW = "slurm_acct_db", "narval-2", 1_700_000_000
ENDED, OPEN = 50_000, 1_000
RELEASES = sorted(schemas())
PASSWORD = "only for tests"

FILL_ENDED = f"""
INSERT INTO `{CLUSTER}_job_table` (job_db_inx, mod_time, account, cpus_req, job_name, id_assoc, id_job, id_qos, id_resv,
  id_wckey, id_user, id_group, het_job_id, het_job_offset, mem_req, nodelist, nodes_alloc, `partition`, priority, state,
  timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req, array_max_tasks, id_array_job)
SELECT seq, {NOW} - 40*({ENDED}-seq), 'def-kim', 4, 'ended', 1 + seq%50, seq, 1, 0, 0, 1000 + seq%50, 1, 0, 4294967294,
  0,   'node01', 1, 'cpu', 1, 3, 60, {NOW} - 40*({ENDED}-seq) - 600, {NOW} - 40*({ENDED}-seq) - 500,
  {NOW} - 40*({ENDED}-seq) - 400, {NOW} - 40*({ENDED}-seq), '1=4,2=8000,4=1', '1=4,2=8000,4=1', 0, IF(seq%10, 0, seq)
FROM seq_1_to_{ENDED}
"""
FILL_OPEN = f"""
INSERT INTO `{CLUSTER}_job_table` (job_db_inx, mod_time, account, cpus_req, job_name, id_assoc, id_job, id_qos, id_resv,
  id_wckey, id_user, id_group, het_job_id, het_job_offset, mem_req, nodelist, nodes_alloc, `partition`, priority, state,
  timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req, array_max_tasks)
SELECT 18446744073709000000 + seq, {NOW}, 'def-kim', 4, 'open', 1, {ENDED} + seq, 1, 0, 0, 1000, 1, 0, 4294967294, 0,
  IF(seq%2, 'node[01-02]', 'None assigned'), 2, 'cpu', 1, seq%2, 4294967295, {NOW} - 900, {NOW} - 800,
  IF(seq%2, {NOW} - 700, 0), 0, IF(seq%2, '1=4,2=8000,3=18446744073709551614,4=2,1001=2,1002=2', ''),
  '1=4,2=8000,4=2', 0
FROM seq_1_to_{OPEN}
"""


def fill(mariadb: MariaDB, release: str) -> None:
    create_tables(mariadb, DATABASE, release, CLUSTER)
    for sql in (FILL_ENDED, FILL_OPEN):
        mariadb.execute(sql, DATABASE)
    mariadb.execute(
        f"INSERT INTO `{CLUSTER}_assoc_table` (id_assoc, user, acct, parent_acct)"
        " VALUES (1, 'alice', 'def-kim', ''), (2, '', 'def-kim', 'root'), (3, '', 'root', '')",
        DATABASE,
    )
    mariadb.execute(
        "INSERT INTO tres_table (creation_time, deleted, id, type, name) VALUES (1,0,1,'cpu',''), (1,0,2,'mem',''),"
        " (1,0,3,'energy',''), (1,0,4,'node',''), (1,0,1001,'gres','gpu'), (1,0,1002,'gres','gpu:a100')",
        DATABASE,
    )
    mariadb.execute(f"ANALYZE TABLE `{CLUSTER}_job_table`", DATABASE)
    mariadb.create_user("aggregator", PASSWORD, [r"SELECT ON `slurm\_acct\_db`.*"])


def connection(mariadb: MariaDB, **changes: object) -> Connection:
    settings = {
        "key": "clusters.narval-2.slurmacct", "host": "127.0.0.1", "port": mariadb.port, "user": "aggregator",
        "password": lambda: PASSWORD, "database": DATABASE,
    }  # fmt: skip
    return Connection(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["20.11", "22.05", "26.05"])
def release(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    fill(mariadb, request.param)
    return str(request.param)


@pytest.fixture
async def database(mariadb: MariaDB, release: str) -> AsyncIterator[Database]:
    opened = Database(connection(mariadb))
    yield opened
    await opened.close()


def source(database: Database, cluster: str = CLUSTER) -> SlurmAcct:
    return SlurmAcct(cluster, database, f"clusters.{cluster}.slurmacct", 600.0)


async def plan(mariadb: MariaDB, sql: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
    return mariadb.execute("EXPLAIN " + sql, DATABASE, list(parameters))


async def test_every_timed_statement_is_served_by_an_index(mariadb: MariaDB, database: Database) -> None:
    schema = await discover(database, CLUSTER, "key")
    timed = [
        (statements.open_keys(schema), (), OPEN),
        (statements.ended_keys(schema), statements.after(NOW - 720, 0, 0, NOW + 86_400), 20),
    ]
    for sql, parameters, expected in timed:
        (row,) = await plan(mariadb, sql, parameters)
        access, key, rows, extra = row[3], row[5], int(str(row[8])), str(row[9])
        assert access in ("ref", "range"), (sql, row)
        # From 23.11 on there is a second index that begins with time_end.
        assert key in ("rollup2", "archive_purge"), (sql, row)
        assert rows <= 1.2 * expected + 10, (sql, row)
        assert "filesort" not in extra


@pytest.mark.parametrize("make", [statements.ended_keys, statements.ended_runs])
@pytest.mark.parametrize("ended_before", [0, 1000 * 40, ENDED * 40], ids=["begin", "middle", "everything"])
async def test_a_chunk_of_ended_runs_is_read_in_the_order_of_an_index(
    mariadb: MariaDB, database: Database, make: Callable[[Schema], str], ended_before: int
) -> None:
    """However much is to be read: the rows that the server touches are those that it gives."""
    schema = await discover(database, CLUSTER, "key")
    since = NOW - ended_before
    sql, parameters = make(schema), statements.after(since, since - 500, 1, NOW + 86_400)
    (row,) = await plan(mariadb, sql, parameters)
    assert (row[3], row[5]) == ("range", "rollup2"), row
    assert "filesort" not in str(row[9])
    counters = await examined(database)
    given = await database.rows(sql, parameters)
    read = {name: count - counters[name] for name, count in (await examined(database)).items()}
    assert read["Handler_read_next"] <= len(given) + 1


@pytest.mark.parametrize("count", [1, 50, statements.CHUNK_RUNS])
async def test_changed_and_lost_runs_are_read_by_unique_keys(mariadb: MariaDB, database: Database, count: int) -> None:
    schema = await discover(database, CLUSTER, "key")
    ids = range(ENDED - count, ENDED)
    for sql, parameters, keys in (
        (statements.runs_of_keys(schema, count), (*ids,), {"PRIMARY"}),
        # old_tuple begins with id_job as well.
        (statements.runs_since(schema, count), (*ids, NOW - 40 * count - 1000), {"id_job", "old_tuple"}),
    ):
        (row,) = await plan(mariadb, sql, parameters)
        assert row[3] in ("range", "ref", "const"), row
        assert row[5] in keys, row
        assert int(str(row[8])) <= 1.2 * count + 1, row
        assert "filesort" not in str(row[9])
        assert len(await database.rows(sql, parameters)) == count


@pytest.mark.parametrize(
    "asked", [JobId(4711), JobId(4710, array_task=3), JobId(4711, het_offset=1)], ids=["job", "task", "component"]
)
async def test_statements_by_job_id_are_served_by_an_index(mariadb: MariaDB, database: Database, asked: JobId) -> None:
    schema = await discover(database, CLUSTER, "key")
    sql = {
        "job": (statements.runs_of_id(schema), (asked.job_id,) * 3),
        "task": (statements.runs_of_array_task(schema), (asked.job_id, asked.array_task)),
        "component": (statements.runs_of_component(schema), (asked.job_id, asked.het_offset)),
    }["task" if asked.array_task is not None else "component" if asked.het_offset is not None else "job"]
    for row in await plan(mariadb, *sql):
        if row[1] == "UNION RESULT" or str(row[2]).startswith("<"):
            continue
        assert row[3] in ("ref", "range", "const"), row
        assert int(str(row[8])) < 1000, row


async def test_a_fetch_examines_hardly_more_rows_than_it_needs(mariadb: MariaDB, database: Database) -> None:
    accounting = source(database)
    await accounting.fetch(NOW)
    counters = await examined(database)
    await accounting.fetch(NOW + 30)
    read = {name: count - counters[name] for name, count in (await examined(database)).items()}
    # The sums of blocks, information_schema and the small tables; never the job table.
    assert read["Handler_read_rnd_next"] <= statements.BLOCKS + 500
    # Nothing has changed but that a run has ended. The table of sums in memory is not counted.
    assert read["Rows_read"] <= 1.2 * (OPEN + 20)


async def examined(database: Database) -> dict[str, int]:
    wanted = "Variable_name='Rows_read' OR Variable_name LIKE 'Handler_read%%'"
    rows = await database.rows(f"SHOW SESSION STATUS WHERE {wanted}")
    return {str(name): int(count) for name, count in rows}


async def test_runs_are_read_with_user_state_and_allocation(database: Database) -> None:
    accounting = await source(database).fetch(NOW)
    running = [run for run in accounting.runs if run.state is JobState.RUNNING]
    pending = [run for run in accounting.runs if run.state is JobState.PENDING]
    ended = [run for run in accounting.runs if not run.is_open]
    assert (len(running), len(pending)) == (OPEN // 2, OPEN // 2)
    assert len(ended) == 15  # one each 40 s, for 600 s
    run = running[0]
    assert (run.user, run.account, run.nodes) == ("alice", "def-kim", ("node01", "node02"))
    assert (run.allocated.cpus, run.allocated.memory_bytes) == (4, 8000 * 2**20)
    assert run.allocated.gpus == {"a100": 2}, "typed GPUs are in the generic count already"
    assert run.run_id > 2**63
    assert run.time_limit_seconds is None
    assert ("def-kim", "", "root") in accounting.associations.rows.select("account", "user", "parent").rows()


async def test_an_ended_run_is_found_by_its_id(database: Database) -> None:
    (run,) = await source(database).runs_of(JobId(4711))
    assert (run.job_id, run.state, run.user) == (4711, JobState.COMPLETED, "1011")  # its association is gone: the uid


async def test_runs_of_an_ignored_partition_are_not_shown(database: Database) -> None:
    accounting = SlurmAcct(CLUSTER, database, "key", 600.0, ["cpu"])
    assert list((await accounting.fetch(NOW)).runs) == []
    assert await accounting.runs_of(JobId(4711)) == ()


async def test_jobs_ended_before_the_retention_time_are_gone(database: Database) -> None:
    accounting = source(database)
    await accounting.fetch(NOW)
    later = await accounting.fetch(NOW + 601)
    assert [run for run in later.runs if not run.is_open] == []


@pytest.mark.parametrize(
    ("changes", "cluster", "text"),
    [
        ({}, "beluga", "clusters.beluga.slurmacct: the database has no cluster 'beluga'; it has: narval-2"),
        (
            {"password": lambda: "wrong"},
            CLUSTER,
            "wrong user or password for 'aggregator': check user and password_file",
        ),
        ({"database": "information_schema"}, CLUSTER, "not a slurmdbd database"),
        ({"database": "nowhere"}, CLUSTER, r"user 'aggregator' may not use database 'nowhere'|no database 'nowhere'"),
        ({"port": 1}, CLUSTER, "cannot connect to 127.0.0.1:1: check host and port"),
    ],
    ids=["cluster", "password", "not slurmacct", "no database", "no server"],
)
async def test_a_wrong_setting_is_named(
    mariadb: MariaDB, release: str, changes: dict[str, object], cluster: str, text: str
) -> None:
    database = Database(connection(mariadb, **changes))
    with pytest.raises(FetchError) as caught:
        await source(database, cluster).fetch(NOW)
    await database.close()
    assert re.search(text, str(caught.value))
    assert "wrong" not in str(caught.value).replace("wrong user", "")
    assert str(caught.value).startswith("clusters.")


async def test_the_server_ends_a_statement_over_the_limit(mariadb: MariaDB, release: str) -> None:
    database = Database(connection(mariadb, statement_timeout=0.2))
    with pytest.raises(FetchError, match="ran longer than statement_timeout"):
        await database.rows("SELECT SLEEP(5) FROM tres_table")
    await database.close()


async def test_a_session_is_guarded(database: Database) -> None:
    (row,) = await database.rows(
        "SELECT @@tx_read_only, @@tx_isolation, @@lock_wait_timeout, @@max_statement_time, @@autocommit"
    )
    assert row == (1, "READ-COMMITTED", 5, 20, 1)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b'say "hi"\\ {a}\n\xf0\x9f\x90\x8d', 'say "hi"\\ {a}\n\U0001f40d'),
        (b"caf\xe9", "café"),
        (b"x" * 254 + b"\xc3", "x" * 254),
        ("né".encode(), "né"),
    ],
    ids=["quotes and emoji", "latin-1", "cut in a character", "utf-8"],
)
async def test_names_come_out_as_valid_text(mariadb: MariaDB, database: Database, stored: bytes, shown: str) -> None:
    table = f"`{CLUSTER}_job_table`"
    mariadb.execute(f"ALTER TABLE {table} MODIFY job_name TINYBLOB NOT NULL", DATABASE)
    mariadb.execute(f"UPDATE {table} SET job_name=%s WHERE id_job={ENDED + 1}", DATABASE, [stored])
    accounting = await source(database).fetch(NOW)
    (run,) = (run for run in accounting.runs if run.job_id == ENDED + 1)
    assert run.name == shown


async def test_data_return_by_themselves_after_the_server_was_away(mariadb: MariaDB, database: Database) -> None:
    accounting = source(database)
    before = await accounting.fetch(NOW)
    mariadb.kill()
    for _ in range(3):
        with pytest.raises(FetchError, match=r"connection was lost|cannot connect"):
            await accounting.fetch(NOW)
    mariadb.start()
    after = await accounting.fetch(NOW)
    assert len(after.runs) == len(before.runs)
    ((connections,),) = mariadb.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user='aggregator'")
    assert connections <= 2
