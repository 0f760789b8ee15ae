"""What a refresh reads of slurmacct, measured inside: the source alone, in front of the real site's MariaDB."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from aggregator.app.garbage import tend_garbage
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.bench.board import Board
from tests.bench.child import alone
from tests.bench.figures import Figure
from tests.bench.probe import Ticker
from tests.bench.site import DATABASE, PASSWORD, USER, RealSite
from tests.large_table import CLUSTER

_RETENTION, _INTERVAL = 600.0, 30.0
# After so many seconds the small tables are read again.
_TABLES_SECONDS = 300.0
_MILLISECONDS = 1e3


class _Fetches(NamedTuple):
    """Seconds of CPU of the first fetch and of later ones, and the loop's worst lateness in the later ones."""

    first: float
    unchanged: float
    small_tables: float
    late: float
    late_own: float


def measure(site: RealSite, repeats: int) -> dict[str, Figure]:
    """Fetch from the site's slurmacct in a process of its own."""
    found = alone(_run, site.mariadb.port, float(site.now), repeats)
    return {
        "fetch": Figure(found.unchanged, found.first, f"with the small tables {found.small_tables:.2f} s"),
        "fetch_late": Figure(
            found.late * _MILLISECONDS, note=f"{found.late_own * _MILLISECONDS:.1f} ms without waiting for a CPU"
        ),
    }


def _run(port: int, now: float, repeats: int) -> _Fetches:
    return asyncio.run(_fetch(port, now, repeats))


async def _fetch(port: int, now: float, repeats: int) -> _Fetches:
    async with _database(port) as database:
        source = SlurmAcct(CLUSTER, database, "bench", _RETENTION)
        first = await _cpu(source, now)
        # As in the service: Python does not look through everything by itself.
        tending = asyncio.create_task(tend_garbage(lambda: True))
        with tempfile.TemporaryDirectory() as folder:
            board, began = Board(Path(folder) / "board"), time.monotonic()
            board.ticks = True
            Ticker(asyncio.get_running_loop(), board).start()
            unchanged = [await _cpu(source, now + number * _INTERVAL) for number in range(1, repeats + 1)]
            small_tables = await _cpu(source, now + repeats * _INTERVAL + _TABLES_SECONDS)
            # The tick that is due now comes first.
            await asyncio.sleep(0.01)
            ended = time.monotonic()
            tending.cancel()
            late = [max(board.lateness(began, ended, own=own), default=0.0) for own in (False, True)]
    return _Fetches(first, statistics.median(unchanged), small_tables, *late)


@asynccontextmanager
async def _database(port: int) -> AsyncIterator[Database]:
    database = Database(
        Connection(key="bench", host="127.0.0.1", port=port, user=USER, password=lambda: PASSWORD, database=DATABASE)
    )
    try:
        yield database
    finally:
        await database.close()


async def _cpu(source: SlurmAcct, at: float) -> float:
    before = time.process_time()
    await source.fetch(at)
    return time.process_time() - before
