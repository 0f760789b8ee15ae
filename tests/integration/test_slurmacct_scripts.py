"""Scripts that slurmdbd keeps, in the tables of every release that can."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aggregator.model.accounting import JobState, Run
from aggregator.model.jobid import JobId
from aggregator.model.script import RecordedScript
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, statements
from aggregator.sources.slurmacct.schema import discover
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, PASSWORD = "scripts_db", "narval-2", "only for tests"
HOSTILE = b"#!/bin/sh\necho 'caf\xe9 \xf0\x9f\x90\x8d' %s ` ; \\ \x01\n"
NOT_OFFERED = "slurmdbd keeps no scripts (AccountingStoreFlags=job_script), or the table of scripts is not granted"
BATCH, NO_SCRIPT, NOT_YET, DANGLING, OTHER_USER, LARGE = range(1, 7)
# Half of the ids of a cluster that has run since 24.11 are beyond 63 bits.
FIRST_RUN = 18_446_744_073_709_000_000


def fill(mariadb: MariaDB, release: str) -> None:
    create_tables(mariadb, DATABASE, release, CLUSTER)
    for job_id in (BATCH, NO_SCRIPT, NOT_YET, DANGLING, OTHER_USER, LARGE):
        mariadb.execute(
            f"INSERT INTO `{CLUSTER}_job_table` SET job_db_inx=%s, id_job=%s, id_user=%s, `partition`='cpu', state=3,"
            " job_name='x', time_submit=1000, time_start=1010, time_end=2000, id_assoc=0, id_array_task=4294967294,"
            " het_job_offset=4294967294",
            DATABASE,
            [FIRST_RUN + job_id, job_id, 1000 + job_id],
        )
    if "script_hash_inx" in schemas()[release]["<cluster>_job_table"]["columns"]:
        fill_script_table(mariadb)
    else:
        keep_bytes(mariadb, f"`{CLUSTER}_job_table`")
        for job_id, script in ((BATCH, HOSTILE), (OTHER_USER, HOSTILE), (LARGE, b"x" * (9 * 2**20))):
            set_job(mariadb, job_id, "batch_script", script)
    mariadb.create_user("aggregator", PASSWORD, [r"SELECT ON `scripts\_db`.*"])


def keep_bytes(mariadb: MariaDB, table: str) -> None:
    """Let the column hold what users write, which slurmdbd's own connection would let through."""
    mariadb.execute(f"ALTER TABLE {table} MODIFY batch_script LONGBLOB", DATABASE)


def fill_script_table(mariadb: MariaDB) -> None:
    table = f"`{CLUSTER}_job_script_table`"
    keep_bytes(mariadb, table)
    for index, script in ((11, HOSTILE), (12, None), (14, b"x" * (9 * 2**20))):
        mariadb.execute(
            f"INSERT INTO {table} SET hash_inx=%s, script_hash=%s, batch_script=%s",
            DATABASE,
            [index, f"2:{index}", script],
        )
    for job_id, index in ((BATCH, 11), (NOT_YET, 12), (DANGLING, 13), (OTHER_USER, 11), (LARGE, 14)):
        set_job(mariadb, job_id, "script_hash_inx", index)


def set_job(mariadb: MariaDB, job_id: int, column: str, value: object) -> None:
    mariadb.execute(f"UPDATE `{CLUSTER}_job_table` SET `{column}`=%s WHERE id_job=%s", DATABASE, [value, job_id])


@pytest.fixture(scope="module", params=["21.08", "22.05", "26.05"])
def release(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    mariadb.execute("SET GLOBAL max_allowed_packet=67108864")
    fill(mariadb, request.param)
    return str(request.param)


@asynccontextmanager
async def opened(mariadb: MariaDB, user: str = "aggregator", name: str = DATABASE) -> AsyncIterator[Database]:
    database = Database(
        Connection(
            key="clusters.narval-2.slurmacct",
            host="127.0.0.1",
            port=mariadb.port,
            user=user,
            password=lambda: PASSWORD,
            database=name,
        )
    )
    yield database
    await database.close()


@pytest.fixture
async def database(mariadb: MariaDB, release: str) -> AsyncIterator[Database]:
    async with opened(mariadb) as database:
        yield database


@pytest.fixture
def source(database: Database) -> SlurmAcct:
    return SlurmAcct(CLUSTER, database, "clusters.narval-2.slurmacct", 600.0)


async def run_of(source: SlurmAcct, job_id: int) -> Run:
    (run,) = await source.runs_of(JobId(job_id))
    return run


async def script_of(source: SlurmAcct, job_id: int) -> RecordedScript:
    return await source.script_of(await run_of(source, job_id))


async def test_a_script_comes_byte_for_byte_by_the_runs_own_row(source: SlurmAcct) -> None:
    """Two users with the same script share its row."""
    for job_id in (BATCH, OTHER_USER):
        assert await script_of(source, job_id) == RecordedScript(HOSTILE)


@pytest.mark.parametrize("job_id", [NO_SCRIPT, DANGLING], ids=["interactive", "purged"])
async def test_a_run_without_a_script_and_one_whose_script_is_gone_have_none(source: SlurmAcct, job_id: int) -> None:
    script = await script_of(source, job_id)
    assert script.content is None
    assert script.missing in (
        "slurmdbd has no script of this run, which may not be a batch job",
        "slurmdbd has not got the script yet, or the run has none",
    )


async def test_a_script_that_has_not_come_yet_is_none_and_said_so(source: SlurmAcct) -> None:
    text = "slurmdbd has not got the script yet, or the run has none"
    assert await script_of(source, NOT_YET) == RecordedScript(missing=text)


async def test_a_large_script_is_cut_at_8_mib(source: SlurmAcct) -> None:
    script = await script_of(source, LARGE)
    assert script.truncated
    assert script.content == b"x" * (8 * 2**20)


async def test_the_statement_reads_one_row_by_its_key(mariadb: MariaDB, database: Database) -> None:
    sql = statements.script(await discover(database, CLUSTER, "key"))
    assert sql is not None
    for row in mariadb.execute(f"EXPLAIN {sql}", DATABASE, [9, FIRST_RUN + BATCH]):
        assert row[3] == "const", row


async def test_a_release_that_keeps_no_scripts_offers_none(mariadb: MariaDB) -> None:
    create_tables(mariadb, "old_db", "20.11", CLUSTER)
    mariadb.create_user("aggregator_old", PASSWORD, ["SELECT ON `old_db`.*"])
    run = Run(cluster=CLUSTER, run_id=1, job_id=1, user="a", account="b", state=JobState.RUNNING, submit=1.0)
    async with opened(mariadb, "aggregator_old", "old_db") as database:
        script = await SlurmAcct(CLUSTER, database, "key", 600.0).script_of(run)
    assert script == RecordedScript(missing=NOT_OFFERED)


@pytest.fixture
def ungranted(mariadb: MariaDB, release: str) -> str:
    """A user who may read all tables but that of the scripts."""
    tables = [name.replace("<cluster>", CLUSTER) for name in schemas()[release]]
    granted = [f"SELECT ON `{DATABASE}`.`{name}`" for name in tables if not name.endswith("_script_table")]
    mariadb.create_user("limited", PASSWORD, granted)
    return "limited"


async def test_a_table_that_is_not_granted_is_not_offered_and_no_error(
    mariadb: MariaDB, source: SlurmAcct, release: str, ungranted: str
) -> None:
    async with opened(mariadb, ungranted) as limited:
        script = await SlurmAcct(CLUSTER, limited, "key", 600.0).script_of(await run_of(source, BATCH))
    if release == "21.08":
        assert script.content is not None, "the script is in the job table itself"
    else:
        assert script == RecordedScript(missing=NOT_OFFERED)


@pytest.mark.parametrize("release", ["22.05", "26.05"], indirect=True)
async def test_a_table_that_goes_away_later_is_not_an_error(
    mariadb: MariaDB, database: Database, source: SlurmAcct, release: str
) -> None:
    run = await run_of(source, BATCH)
    assert (await source.script_of(run)).content == HOSTILE
    table = f"`{CLUSTER}_job_script_table`"
    mariadb.execute(f"RENAME TABLE {table} TO `away`", DATABASE)
    try:
        script = await source.script_of(run)
        assert script.content is None
        assert script.missing.startswith(f"{NOT_OFFERED}: clusters.narval-2.slurmacct: ")
        assert (await source.script_of(run)).missing == NOT_OFFERED, "the schema was looked at again"
    finally:
        mariadb.execute(f"RENAME TABLE `away` TO {table}", DATABASE)


async def test_a_server_that_is_away_is_an_error_not_a_missing_script(source: SlurmAcct, mariadb: MariaDB) -> None:
    run = await run_of(source, BATCH)
    mariadb.stop()
    try:
        with pytest.raises(FetchError):
            await source.script_of(run)
    finally:
        mariadb.start()
