"""Associations, limits and coordinators out of a real MariaDB with the tables of the oldest to the newest release."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from aggregator.sources.mysql import Connection, Database, Row
from aggregator.sources.slurmacct import SlurmAcct, SlurmUsage
from aggregator.sources.slurmacct.source import TABLES_SECONDS
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables, schemas
from tests.standings import Standings, join_standings

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW = "slurm_acct_db", "narval-2", 1_700_000_000
PASSWORD = "only for tests"
ACCOUNTS = (
    ("root", "", 1, 12),
    ("def_kim", "root", 2, 9),
    ("def_kim_sub", "def_kim", 3, 6),
    ("defxkim", "root", 10, 11),
)
LINEAGES = {"root": "/", "def_kim": "/def_kim/", "def_kim_sub": "/def_kim/def_kim_sub/", "defxkim": "/defxkim/"}
TRES = ((1, "cpu", ""), (2, "mem", ""), (4, "node", ""), (1001, "gres", "gpu"), (1002, "gres", "gpu:a100"))

_EMPTY = ("partition", "parent_acct", "qos", "delta_qos", "max_tres_pj", "max_tres_pn", "max_tres_mins_pj",
          "max_tres_run_mins", "grp_tres", "grp_tres_mins", "grp_tres_run_mins")  # fmt: skip


def fill(mariadb: MariaDB, release: str) -> None:
    create_tables(mariadb, DATABASE, release, CLUSTER)
    columns = schemas()[release]["<cluster>_assoc_table"]["columns"]
    for number, (account, parent, left, right) in enumerate(ACCOUNTS, start=1):
        place = {"lft": left, "rgt": right, "lineage": LINEAGES[account]}
        insert(mariadb, {
            "id_assoc": number, "user": "", "acct": account, "parent_acct": parent, "shares": 10 * number,
            # An upgrade to 23.11 leaves such a time here.
            "mod_time": 20231122103000, **{name: value for name, value in place.items() if name in columns},
        })  # fmt: skip
    insert(mariadb, {"id_assoc": 10, "user": "alice", "acct": "def_kim_sub", "shares": 0x7FFFFFFF})
    insert(mariadb, {"id_assoc": 11, "user": "alice", "acct": "def_kim_sub", "partition": "gpu", "max_jobs": 2})
    insert(mariadb, {"id_assoc": 12, "user": 'b"ob', "acct": "defxkim"})
    insert(mariadb, {"id_assoc": 13, "user": "gone", "acct": "def_kim", "deleted": 1, "grp_jobs": 1})
    table = f"`{CLUSTER}_assoc_table`"
    for sql in (
        f"UPDATE {table} SET max_jobs=100, max_tres_mins_pj='1=600', qos=',1,' WHERE acct='root'",
        f"UPDATE {table} SET grp_tres='1=50,2=4000,1001=4', grp_jobs=10, delta_qos=',+2' WHERE id_assoc=2",
        "INSERT INTO qos_table (id, name, priority, max_jobs_per_user, preempt, deleted) VALUES"
        " (1,'normal',0,NULL,'',0), (2,'high',1000,3,'',0), (3,'old',1,1,'',1)",
        "INSERT INTO acct_coord_table (creation_time, deleted, acct, user)"
        " VALUES (1,0,'def_kim','pi'), (1,1,'root','x')",
        *(f"INSERT INTO tres_table (deleted, id, type, name) VALUES (0,{n},'{k}','{v}')" for n, k, v in TRES),
    ):
        mariadb.execute(sql, DATABASE)
    if "flags" in columns:
        mariadb.execute(f"UPDATE {table} SET flags=65536 WHERE acct='defxkim' AND user=''", DATABASE)


def insert(mariadb: MariaDB, row: dict[str, object]) -> None:
    """Add an association; what slurmdbd leaves empty is empty, not NULL."""
    row = {**dict.fromkeys(_EMPTY, ""), "creation_time": 1, "mod_time": 1, "deleted": 0, **row}
    names, marks = ", ".join(f"`{name}`" for name in row), ", ".join(["%s"] * len(row))
    mariadb.execute(f"INSERT INTO `{CLUSTER}_assoc_table` ({names}) VALUES ({marks})", DATABASE, list(row.values()))


@pytest.fixture(scope="module", params=["20.11", "22.05", "23.11", "26.05"])
def release(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    fill(mariadb, request.param)
    mariadb.create_user("aggregator", PASSWORD, [r"SELECT ON `slurm\_acct\_db`.*"])
    return str(request.param)


def open_database(mariadb: MariaDB, user: str = "aggregator") -> Database:
    return Database(Connection(
        key="clusters.narval-2.slurmacct", host="127.0.0.1", port=mariadb.port, user=user, password=lambda: PASSWORD,
        database=DATABASE,
    ))  # fmt: skip


@pytest.fixture
async def database(mariadb: MariaDB, release: str) -> AsyncIterator[Database]:
    opened = open_database(mariadb)
    yield opened
    await opened.close()


async def read(database: Database) -> tuple[Standings, SlurmAcct]:
    source = SlurmAcct(CLUSTER, database, "clusters.narval-2.slurmacct", 600.0)
    accounting = await source.fetch(NOW)
    return join_standings(accounting.associations, accounting.runs, NOW), source


async def test_every_release_gives_the_same_tree_with_its_shares(database: Database) -> None:
    joined, _ = await read(database)
    assert {name: standing.shares_ratio for name, standing in joined.accounts.items()} == {
        "root": None, "def_kim": 20 / 60, "def_kim_sub": 1.0, "defxkim": 40 / 60,
    }  # fmt: skip
    assert joined.users.keys() == {("def_kim_sub", "alice"), ("defxkim", 'b"ob')}
    every, gpu = joined.users["def_kim_sub", "alice"]
    # Its level has the partition's share only.
    assert (every.shares, every.shares_ratio, gpu.shares_ratio) == (None, 1.0, 1.0)


async def test_every_release_gives_the_same_limits(database: Database) -> None:
    joined, _ = await read(database)
    every, gpu = joined.users["def_kim_sub", "alice"]
    shown = [(each.limit, each.tres, each.value, each.account or each.qos, each.overridden_by) for each in every.limits]
    assert shown == [
        ("GrpJobs", "", 10.0, "def_kim", ()),
        ("GrpTRES", "cpu", 50.0, "def_kim", ()),
        ("GrpTRES", "gres/gpu", 4.0, "def_kim", ()),
        ("GrpTRES", "mem", 4000.0 * 2**20, "def_kim", ()),
        ("MaxJobs", "", 100.0, "root", ("high",)),
        ("MaxTRESMins", "cpu", 36_000.0, "root", ()),
        ("MaxJobsPerUser", "", 3.0, "high", ()),
    ]
    assert [(each.value, each.partition) for each in gpu.limits if each.limit == "MaxJobs"] == [(2.0, "gpu")]
    assert [(each.limit, each.qos) for each in joined.users["defxkim", 'b"ob'][0].limits] == [
        ("MaxJobs", ""), ("MaxTRESMins", ""),
    ], "def_kim is not the parent of defxkim"  # fmt: skip
    assert [qos.name for qos in joined.qos] == ["high", "normal"]


async def test_coordinators_are_the_named_ones_and_from_2405_on_those_of_the_flag(
    release: str, database: Database
) -> None:
    joined, source = await read(database)
    has_flags = release >= "24.05"
    flagged = {"defxkim": frozenset({'b"ob'})} if has_flags else {}
    assert joined.coordinators == {"def_kim": frozenset({"pi"}), **flagged}
    assert (source.features["coordinators"], source.features["association_flags"]) == (True, has_flags)


async def test_without_the_table_of_coordinators_the_rest_is_there(mariadb: MariaDB, release: str) -> None:
    tables = (
        "cluster_table",
        "tres_table",
        "qos_table",
        "acct_table",
        f"{CLUSTER}_job_table",
        f"{CLUSTER}_assoc_table",
    )
    mariadb.create_user("strict", PASSWORD, [f"SELECT ON `{DATABASE}`.`{table}`" for table in tables])
    database = open_database(mariadb, "strict")
    try:
        joined, source = await read(database)
    finally:
        await database.close()
    assert source.features["coordinators"] is False
    assert not any("pi" in users for users in joined.coordinators.values())
    assert joined.accounts["def_kim"].limits


class RecordingDatabase(Database):
    """A database that counts how often each small table is read."""

    def __init__(self, opened: Database) -> None:
        super().__init__(opened._connection)
        self.reads: Counter[str] = Counter()

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        self.reads.update(table for table in SMALL if sql.endswith(f" {table}") or f" {table} WHERE" in sql)
        return await super().rows(sql, parameters)


SMALL = (f"`{CLUSTER}_assoc_table`", "tres_table", "qos_table", "acct_table", "acct_coord_table")


async def test_each_small_table_is_read_once_for_all_who_need_it(database: Database) -> None:
    """Runs, limits and usage share one reading, every five minutes."""
    counted = RecordingDatabase(database)
    source = SlurmAcct(CLUSTER, counted, "key", 600.0)
    catalog = await SlurmUsage(source, counted, "key").catalog()
    await source.fetch(NOW)
    # Nothing was fetched before: the first fetch's own time counts from now on.
    first, counted.reads = counted.reads, Counter()
    for at in (NOW + 30, NOW + TABLES_SECONDS - 1):
        await source.fetch(at)
    assert not counted.reads
    await source.fetch(NOW + TABLES_SECONDS)
    await counted.close()
    assert catalog is not None
    assert set(first) == set(SMALL)
    assert counted.reads == dict.fromkeys(SMALL, 1)
