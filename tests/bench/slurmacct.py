"""What a refresh reads of slurmacct: by the feed, and whole, from a job table of millions of rows in a real MariaDB."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab.mariadb import MariaDB
from tests.large_table import CLUSTER, NOW, LargeTable, handled

DATABASE, USER, PASSWORD = "slurm_acct_bench", "bench", "only for the bench"
RETENTION, INTERVAL = 600.0, 30
# Those that end between two refreshes, and those of the feed's overlap: one run ends each second.
_ENDED_ROWS = INTERVAL + 120
# The ratio that a refresh must keep to.
LIMIT = 1.2


class Read(NamedTuple):
    """The seconds of one fetch, and what the server read for it."""

    seconds: float
    rows: int


def measure(rows: int, open_rows: int, runs: int) -> None:
    """Fill a table, fetch from it in both ways and print what it took."""
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-bench-") as folder:
        Path(folder).chmod(0o755)
        server = MariaDB(Path(folder))
        server.start()
        try:
            server.execute("SET GLOBAL innodb_buffer_pool_size=2*1024*1024*1024")
            table = LargeTable(server, DATABASE, rows - open_rows, open_rows)
            _fill(table, rows)
            server.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
            feed, whole = asyncio.run(_fetches(server, table, runs))
        finally:
            server.stop()
    _print(table, feed, whole)


def _fill(table: LargeTable, rows: int) -> None:
    started = time.perf_counter()

    def progress(done: int) -> None:
        took = time.perf_counter() - started
        print(f"\rfilling the job table: {done:,} of {rows:,} rows, {took:.0f} s", end="", file=sys.stderr, flush=True)

    table.fill(progress)
    print(file=sys.stderr)


async def _fetches(server: MariaDB, table: LargeTable, runs: int) -> tuple[list[Read], list[Read]]:
    """Fetch again and again, 30 runs ending and 30 changing in between, by one source and by a new one each time."""
    database = Database(
        Connection(key="bench", host="127.0.0.1", port=server.port, user=USER, password=lambda: PASSWORD,
                   database=DATABASE, pool_size=1)
    )  # fmt: skip
    source = SlurmAcct(CLUSTER, database, "bench", RETENTION)
    await source.fetch(NOW)
    feed, whole = list[Read](), list[Read]()
    for step in range(INTERVAL, (runs + 1) * INTERVAL, INTERVAL):
        table.change(step)
        feed.append(await _fetch(source, database, step))
        new = SlurmAcct(CLUSTER, database, "bench", RETENTION)
        # Its schema is found once for all refreshes.
        await new.known()
        whole.append(await _fetch(new, database, step))
    await database.close()
    return feed, whole


async def _fetch(source: SlurmAcct, database: Database, step: int) -> Read:
    before, started = await handled(database), time.perf_counter()
    await source.fetch(NOW + step)
    seconds = time.perf_counter() - started
    return Read(seconds, await handled(database) - before)


def _print(table: LargeTable, feed: list[Read], whole: list[Read]) -> None:
    needed = table.open_rows + _ENDED_ROWS
    by_feed, by_whole = _median(feed), _median(whole)
    print(f"{'slurmacct: measure':<44}{'feed':>10}{'whole':>12}{'ratio':>8}")
    print(
        f"{'refresh, time':<44}{by_feed.seconds:>9.2f}s{by_whole.seconds:>11.2f}s"
        f"{by_whole.seconds / by_feed.seconds:>7.1f}x"
    )
    print(f"{'refresh, rows examined':<44}{by_feed.rows:>10,}{by_whole.rows:>12,}{by_whole.rows / by_feed.rows:>7.1f}x")
    ratio = by_feed.rows / needed
    verdict = "" if ratio <= LIMIT else "  TOO MANY"
    print(f"{'  rows examined / (open + ended rows)':<44}{ratio:>10.2f}  limit {LIMIT}{verdict}")


def _median(reads: list[Read]) -> Read:
    return Read(statistics.median(read.seconds for read in reads), int(statistics.median(read.rows for read in reads)))
