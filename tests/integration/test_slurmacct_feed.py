"""The incremental feed against a real MariaDB: a random history of slurmdbd's writes, read in parts and in full."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aggregator.model.accounting import Run
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database, Row
from aggregator.sources.slurmacct import SlurmAcct, statements
from aggregator.sources.slurmacct.feed import FUTURE_SECONDS, OVERLAP_SECONDS, SWEEP_FRACTION
from aggregator.sources.slurmacct.rows import Dimensions, RunRow, parse_run
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables
from tests.slurmdbd import INFINITE, RUNNING, SUSPENDED, Slurmdbd

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW, RETENTION = "slurm_acct_feed", "narval-2", 1_700_000_000, 600.0
KEY, PASSWORD = "clusters.narval-2.slurmacct", "only for tests"
TABLE = f"`{CLUSTER}_job_table`"
Event = tuple[str, int, int]
Submission = tuple[int, float]


class FragileDatabase(Database):
    """A database whose connection can be told to break at the n-th statement from now."""

    breaks_in: int | None = None

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        if self.breaks_in is not None:
            self.breaks_in -= 1
            if self.breaks_in < 0:
                self.breaks_in = None
                raise FetchError("broken for the test")
        return await super().rows(sql, parameters)


@pytest.fixture(scope="module", params=["20.11", "26.05"])
def tables(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    create_tables(mariadb, DATABASE, request.param, CLUSTER)
    mariadb.create_user("feed", PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    return str(request.param)


def connection(mariadb: MariaDB, **changes: object) -> Connection:
    settings = {
        "key": KEY, "host": "127.0.0.1", "port": mariadb.port, "user": "feed", "password": lambda: PASSWORD,
        "database": DATABASE,
    }  # fmt: skip
    return Connection(**{**settings, **changes})  # type: ignore[arg-type]


def slurmdbd(mariadb: MariaDB) -> Slurmdbd:
    mariadb.execute(f"DELETE FROM {TABLE}", DATABASE)
    return Slurmdbd(mariadb, DATABASE, TABLE, NOW)


def submission(run: Run) -> Submission:
    return run.job_id, run.submit


@dataclass
class Model:
    """What a reader knows who reads the whole table at each fetch.

    A run is known while it is open, for the retention time after its end, and as long after it was seen to have ended
    where it was open at the fetch before. `grace` forgives the runs of which nobody could know: rows that came with an
    old end and were open at no fetch.
    """

    writer: Slurmdbd
    open: set[Submission] = field(default_factory=set)
    seen_ended: dict[Submission, float] = field(default_factory=dict)
    first_seen: dict[Submission, float] = field(default_factory=dict)
    last: float | None = None

    def check(self, at: float, runs: Sequence[Run]) -> None:
        """Compare what a fetch at host time `at` gave with the whole table."""
        truth = {submission(run): run for run in self._read(at)}
        self._see(at, truth)
        given = {submission(run): run for run in runs}
        assert len(given) == len(runs) == len({run.run_id for run in runs}), "each run once"
        assert _open(given) == _open(truth)
        ended = {run for run, row in given.items() if not row.is_open}
        lately = {run for run, row in truth.items() if row.end and at - RETENTION < row.end < int(at + FUTURE_SECONDS)}
        seen = {run for run, since in self.seen_ended.items() if run in truth}
        late = {
            run for run in lately - self.seen_ended.keys() if at < self.first_seen[run] + SWEEP_FRACTION * RETENTION
        }
        purged = self.seen_ended.keys() - truth.keys()
        assert (lately | seen) - late <= ended <= lately | seen | purged
        for run in ended - purged:
            assert replace(given[run], run_id=truth[run].run_id) == truth[run], "an upgrade may have changed the key"

    def _see(self, at: float, truth: dict[Submission, Run]) -> None:
        ended = {run: row.end for run, row in truth.items() if row.end}
        for run, end in ended.items():
            if run in self.open:
                self.seen_ended[run] = at
            overlooked = self.last is not None and end < min(at, self.last) - OVERLAP_SECONDS
            self.first_seen.setdefault(run, at if overlooked else float("-inf"))
            self.first_seen[run] = min(self.first_seen[run], at)
        self.seen_ended = {
            run: min(at, since) for run, since in self.seen_ended.items() if min(at, since) > at - RETENTION
        }
        self.open = {run for run, row in truth.items() if row.is_open}
        self.last = at

    def _read(self, at: float) -> Iterator[Run]:
        columns = ", ".join(f"`{column}`" for column in statements.RUN_COLUMNS)
        for row in self.writer.execute(f"SELECT {columns} FROM {{table}}"):
            binary = (value.encode() if isinstance(value, str) else value for value in row)
            run = parse_run(CLUSTER, RunRow(*binary), Dimensions(), at)
            assert run is not None
            yield run


def _open(runs: dict[Submission, Run]) -> dict[Submission, Run]:
    return {key: run for key, run in runs.items() if run.is_open}


# Writes to a row without an end, by the state that it has.
OF_OPEN: dict[str, Callable[[Slurmdbd, int, int], None]] = {
    "end": lambda writer, key, seconds: writer.end(key, seconds),
    "change": lambda writer, key, seconds: writer.change(key, seconds),
    "requeue": lambda writer, key, _: writer.requeue(key),
    "fix_runaway": lambda writer, key, _: writer.fix_runaway(key),
    "lose": lambda writer, key, _: writer.lose(key),
}
BY_STATE: dict[str, tuple[int, Callable[[Slurmdbd, int], None]]] = {
    "start": (0, Slurmdbd.start),
    "suspend": (RUNNING, Slurmdbd.suspend),
    "resume": (SUSPENDED, Slurmdbd.resume),
    "resize": (RUNNING, Slurmdbd.resize),
}
OF_TABLE: dict[str, Callable[[Slurmdbd, int], None]] = {
    "submit": lambda writer, _: writer.submit(),
    "throttle": lambda writer, _: writer.submit(eligible=INFINITE),
    "come_late": Slurmdbd.come_late,
    "flush": lambda writer, _: writer.flush(),
    "upgrade": lambda writer, _: writer.upgrade(),
    "purge": lambda writer, _: writer.purge(writer.now - 3 * int(RETENTION)),
}
EVENTS = st.tuples(
    st.sampled_from(
        [*OF_OPEN, *BY_STATE, *OF_TABLE, "start", "submit", "submit", *["fetch"] * 6, "break", "clock", "pass", "pass"]
    ),
    st.integers(0, 20),
    st.one_of(st.sampled_from([0, 1, 30, 59, 60, 61, 119, 120, 121, 599, 600, 601]), st.integers(0, 5000)),
)

LONG_RUNNING: list[Event] = [("submit", 0, 0), ("start", 0, 0), ("pass", 0, 4000), ("fetch", 0, 0)]


@dataclass
class Replay:
    """Play a history against one source, and compare each of its fetches with the model."""

    writer: Slurmdbd
    database: FragileDatabase
    host_ahead: int = 0

    async def play(self, events: Sequence[Event]) -> None:
        source = SlurmAcct(CLUSTER, self.database, KEY, RETENTION)
        model = Model(self.writer)
        for name, pick, seconds in [*events, ("fetch", 0, 0)]:
            if name == "break":
                self.database.breaks_in = pick % 8
            elif name == "clock":
                self.host_ahead = seconds * (-1 if pick % 2 else 1)
            elif name == "pass":
                self.writer.now += seconds
            elif name == "fetch":
                await self._fetch(source, model)
            else:
                self._write(name, pick, seconds)

    async def _fetch(self, source: SlurmAcct, model: Model) -> None:
        at = float(self.writer.now + self.host_ahead)
        try:
            runs = (await source.fetch(at)).runs
        except FetchError as error:
            assert str(error) == "broken for the test"
        else:
            model.check(at, runs)

    def _write(self, name: str, pick: int, seconds: int) -> None:
        if name in OF_TABLE:
            OF_TABLE[name](self.writer, seconds)
        elif name in OF_OPEN and self.writer.open:
            OF_OPEN[name](self.writer, self.writer.open[pick % len(self.writer.open)], seconds)
        elif name in BY_STATE:
            state, write = BY_STATE[name]
            keys = self.writer.keys_of(state)
            if keys:
                write(self.writer, keys[pick % len(keys)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, max_size=60))
@example(events=[*LONG_RUNNING, ("end", 0, 3000)])
@example(events=[*LONG_RUNNING, ("upgrade", 0, 0), ("end", 0, 3000)])
@example(
    events=[*LONG_RUNNING, ("fix_runaway", 0, 0), ("fetch", 0, 0), ("pass", 0, 599), ("fetch", 0, 0), ("pass", 0, 1)]
)
@example(events=[*LONG_RUNNING, ("break", 3, 0), ("fetch", 0, 0), ("end", 0, 3000), ("come_late", 0, 300)])
@example(events=[*LONG_RUNNING, ("come_late", 0, 300), ("pass", 0, 59), ("fetch", 0, 0), ("pass", 0, 1)])
@example(events=[*LONG_RUNNING, ("end", 0, 0), ("clock", 0, 5000), ("fetch", 0, 0), ("clock", 0, 0)])
@example(events=[*LONG_RUNNING, ("end", 0, 0), ("fetch", 0, 0), ("clock", 0, 50), ("fetch", 0, 0), ("clock", 1, 50)])
@example(events=[*LONG_RUNNING, ("end", 0, 3000), ("clock", 0, 5000), ("fetch", 0, 0), ("clock", 0, 0), ("fetch", 0, 0),
                 ("pass", 0, 601)])  # fmt: skip
@example(events=[*LONG_RUNNING, ("suspend", 0, 0), ("pass", 0, 30), ("fetch", 0, 0), ("resume", 0, 0)])
@example(events=[*LONG_RUNNING, ("lose", 0, 0)])
@example(events=[("fetch", 0, 0), ("break", 3, 0), ("submit", 0, 0), ("fetch", 0, 0), ("end", 0, 0), ("clock", 0, 600)])
@example(events=[("throttle", 0, 0), ("fetch", 0, 0), ("fix_runaway", 0, 0), ("fetch", 0, 0), ("pass", 0, 601)])
def test_what_is_known_after_each_fetch_is_what_a_reader_of_the_whole_table_knows(
    mariadb: MariaDB, tables: str, events: list[Event]
) -> None:
    async def play() -> None:
        database = FragileDatabase(connection(mariadb))
        try:
            await Replay(slurmdbd(mariadb), database).play(events)
        finally:
            await database.close()

    asyncio.run(play())
