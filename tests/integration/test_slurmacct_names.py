"""What a fetch makes anew when the small tables are read again: the runs whose names have changed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aggregator.model.accounting import Run
from aggregator.model.job_inputs import Accounting
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from aggregator.sources.slurmacct.rows import RunRow, parse_run
from aggregator.sources.slurmacct.source import TABLES_SECONDS
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables
from tests.slurmdbd import Slurmdbd

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW, PASSWORD = "slurm_acct_names", "narval-2", 1_700_000_000, "only for tests"
LATER = NOW + TABLES_SECONDS


@pytest.fixture(scope="module")
def tables(mariadb: MariaDB) -> None:
    create_tables(mariadb, DATABASE, "26.05", CLUSTER)
    mariadb.create_user("names", PASSWORD, [f"SELECT ON `{DATABASE}`.*"])


@pytest.fixture
def writer(mariadb: MariaDB, tables: None) -> Slurmdbd:
    """Give a table with five runs: 1 with a QOS of its own, 2 with a GPU, 3 with a license, 4 of another user."""
    for table in (f"`{CLUSTER}_job_table`", f"`{CLUSTER}_assoc_table`", "tres_table", "qos_table"):
        mariadb.execute(f"DELETE FROM {table}", DATABASE)
    writer = Slurmdbd(mariadb, DATABASE, f"`{CLUSTER}_job_table`", NOW)
    for _ in range(5):
        writer.submit()
    for sql in (
        "UPDATE {table} SET id_qos=2 WHERE job_db_inx=1",
        "UPDATE {table} SET tres_alloc='1=4,1002=2' WHERE job_db_inx=2",
        "UPDATE {table} SET tres_req='1=4,1003=2' WHERE job_db_inx=3",
        "UPDATE {table} SET id_assoc=2 WHERE job_db_inx=4",
        "INSERT INTO tres_table (deleted, id, type, name) VALUES (0, 1, 'cpu', ''), (0, 1002, 'gres', 'gpu:a100'),"
        " (0, 1003, 'license', 'matlab')",
        "INSERT INTO qos_table (id, name, description, flags, priority) VALUES (1, 'normal', '', 0, 0),"
        " (2, 'high', '', 0, 0)",
        f"INSERT INTO `{CLUSTER}_assoc_table` (id_assoc, user, acct) VALUES (1, 'kim', 'kim'), (2, 'ada', 'ada')",
    ):
        writer.execute(sql)
    return writer


@pytest.fixture
async def source(mariadb: MariaDB, writer: Slurmdbd) -> AsyncIterator[SlurmAcct]:
    database = Database(Connection(
        key="clusters.narval-2.slurmacct", host="127.0.0.1", port=mariadb.port, user="names",
        password=lambda: PASSWORD, database=DATABASE,
    ))  # fmt: skip
    yield SlurmAcct(CLUSTER, database, "clusters.narval-2.slurmacct", 600.0)
    await database.close()


def by_id(accounting: Accounting) -> dict[int, Run]:
    return {run.run_id: run for run in accounting.runs}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Remember the rows of which a run is made."""
    rows: list[int] = []

    def remember(cluster: str, row: RunRow, *args: Any) -> Run | None:
        rows.append(row.job_db_inx)
        return parse_run(cluster, row, *args)

    monkeypatch.setattr("aggregator.sources.slurmacct.source.parse_run", remember)
    return rows


def taken(parsed: list[int]) -> set[int]:
    """Give the rows of which a run was made since the last question."""
    rows = set(parsed)
    parsed.clear()
    return rows


async def test_nothing_is_made_anew_when_the_small_tables_say_the_same(source: SlurmAcct, parsed: list[int]) -> None:
    before = (await source.fetch(NOW)).runs
    assert taken(parsed) == {run.run_id for run in before}
    assert (await source.fetch(LATER)).runs.runs is before.runs
    assert taken(parsed) == set()


@pytest.mark.parametrize(
    ("change", "concerned", "field", "value"),
    [
        (f"UPDATE `{CLUSTER}_assoc_table` SET user='eva' WHERE id_assoc=2", 4, "user", "eva"),
        ("UPDATE qos_table SET name='urgent' WHERE id=2", 1, "qos", "urgent"),
        ("DELETE FROM qos_table WHERE id=2", 1, "qos", ""),
        ("UPDATE tres_table SET name='gpu:h100' WHERE id=1002", 2, "allocated.gpus", {"h100": 2}),
        ("UPDATE tres_table SET name='ansys' WHERE id=1003", 3, "requested.licenses", {"ansys": 2}),
        (f"DELETE FROM `{CLUSTER}_assoc_table` WHERE id_assoc=2", 4, "user", "1000"),
    ],
)
async def test_a_name_that_changes_makes_the_runs_that_have_it_anew_and_no_others(
    writer: Slurmdbd, source: SlurmAcct, parsed: list[int], change: str, concerned: int, field: str, value: object
) -> None:
    before = by_id(await source.fetch(NOW))
    writer.execute(change)
    taken(parsed)
    assert by_id(await source.fetch(LATER - 1)) == before, "they are read every five minutes"
    assert taken(parsed) == set()
    after = by_id(await source.fetch(LATER))
    assert taken(parsed) == {concerned}
    found: object = after[concerned]
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value
    assert by_id(await source.fetch(LATER + 30)) == after
    assert taken(parsed) == set()


async def test_a_fetch_that_fails_after_the_small_tables_were_read_forgets_no_change(
    writer: Slurmdbd, source: SlurmAcct, parsed: list[int]
) -> None:
    await source.fetch(NOW)
    taken(parsed)
    writer.execute("UPDATE qos_table SET name='urgent' WHERE id=2")
    writer.execute("RENAME TABLE {table} TO away")
    with pytest.raises(Exception, match="slurmdbd is changing its tables"):
        await source.fetch(LATER)
    writer.execute("RENAME TABLE away TO {table}")
    after = by_id(await source.fetch(LATER + 30))
    assert taken(parsed) == {1}
    assert after[1].qos == "urgent"


async def test_a_run_of_an_association_that_has_just_been_added_has_its_name_at_once(
    writer: Slurmdbd, source: SlurmAcct, parsed: list[int]
) -> None:
    before = by_id(await source.fetch(NOW))
    taken(parsed)
    writer.execute(f"INSERT INTO `{CLUSTER}_assoc_table` (id_assoc, user, acct) VALUES (3, 'new', 'def-new')")
    writer.submit()
    writer.execute("UPDATE {table} SET id_assoc=3 WHERE job_db_inx=6")
    after = by_id(await source.fetch(NOW + 30))
    assert after[6].user == "new"
    assert taken(parsed) == {6}
    assert after == {**before, 6: after[6]}
