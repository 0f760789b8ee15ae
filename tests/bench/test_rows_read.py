"""A scan of a table is told from reading it by an index, covering or not."""

from collections.abc import Iterator

import pytest

from tests.bench.site import rows_read
from tests.lab.mariadb import MariaDB

pytestmark = pytest.mark.mariadb
DATABASE, TABLE, ROWS = "bench_rows", "bench_job_table", 500


@pytest.fixture
def table(mariadb: MariaDB) -> Iterator[MariaDB]:
    mariadb.create_database(DATABASE)
    mariadb.execute("SET GLOBAL userstat=1")
    mariadb.execute(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, time_end INT, state INT, KEY (time_end))", DATABASE)
    mariadb.execute(f"INSERT INTO {TABLE} SELECT seq, seq % 100, 1 FROM seq_1_to_{ROWS}", DATABASE)
    yield mariadb
    mariadb.execute("SET GLOBAL userstat=0")
    mariadb.execute(f"DROP DATABASE {DATABASE}")


@pytest.mark.parametrize(
    ("sql", "read", "scanned"),
    [
        ("SELECT MAX(state) FROM {} WHERE time_end=0", 5, 0),
        ("SELECT MAX(id) FROM {} WHERE time_end IN (0, 1)", 10, 0),
        ("SELECT state FROM {} WHERE id IN (1, 2, 3)", 3, 0),
        ("SELECT MAX(time_end) FROM {} WHERE state=1", ROWS, ROWS),
        ("SELECT 1", 0, 0),
    ],
)
def test_rows_that_are_read_in_the_order_of_the_table_are_a_scan(
    table: MariaDB, sql: str, read: int, scanned: int
) -> None:
    before = rows_read(table, TABLE)
    table.execute(sql.format(TABLE), DATABASE)
    after = rows_read(table, TABLE)
    assert (after.all - before.all, after.scanned(before)) == (read, scanned)
