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
from aggregator.sources.slurmacct.feed import OPEN_SWEEP_SECONDS, OVERLAP_SECONDS, SWEEP_FRACTION
from aggregator.sources.slurmacct.followed import FUTURE_SECONDS
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
    """A database that can be told to break at the n-th statement from now, or to let slurmdbd write before it."""

    breaks_in: int | None = None
    writes_in: int | None = None
    write: Callable[[], None]

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        if self.writes_in is not None:
            self.writes_in -= 1
            if self.writes_in < 0:
                self.writes_in = None
                self.write()
        if self.breaks_in is not None:
            self.breaks_in -= 1
            if self.breaks_in < 0:
                self.breaks_in = None
                raise FetchError("broken for the test")
        return await super().rows(sql, parameters)


@pytest.fixture(scope="module", params=["20.11", "26.05"])
def tables(request: pytest.FixtureRequest, mariadb: MariaDB) -> Iterator[str]:
    create_tables(mariadb, DATABASE, request.param, CLUSTER)
    mariadb.create_user("feed", PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    with pytest.MonkeyPatch.context() as patch:
        # So few rows would all have a block of their own; of three, all differ or some.
        patch.setattr(statements, "BLOCKS", 3)
        patch.setattr(statements, "MAX_BLOCKS", 2)
        yield str(request.param)


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
        # Runs say nothing of SLUIDs, which 26.05 alone has.
        columns = ", ".join(f"`{column}`" for column in statements.RUN_COLUMNS if column != "sluid")
        for row in self.writer.execute(f"SELECT {columns} FROM {{table}}"):
            binary = (value.encode() if isinstance(value, str) else value for value in row)
            run = parse_run(CLUSTER, RunRow(*binary), Dimensions(), at)
            assert run is not None
            yield run


def _open(runs: dict[Submission, Run]) -> dict[Submission, Run]:
    return {key: run for key, run in runs.items() if run.is_open}


def change_two(writer: Slurmdbd, key: int, minutes: int) -> None:
    """Make the same change to two rows of a block, as `scontrol update` does to an array."""
    for other in (key, *(other for other in writer.open if other != key and other % 3 == key % 3)):
        writer.change(other, minutes)


# Writes to a row without an end, by the state that it has.
OF_OPEN: dict[str, Callable[[Slurmdbd, int, int], None]] = {
    "end": lambda writer, key, seconds: writer.end(key, seconds),
    "change": lambda writer, key, seconds: writer.change(key, seconds),
    "change_two": change_two,
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


@settings(max_examples=settings.default.max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(EVENTS.filter(lambda event: event[0] in {*OF_OPEN, *BY_STATE, "submit", "flush"}), max_size=5),
    between=EVENTS.filter(lambda event: event[0] in {*OF_OPEN, *BY_STATE, "submit", "flush"}),
    statement=st.integers(0, 6),
)
def test_what_is_written_between_two_statements_of_a_fetch_is_known_after_the_next(
    mariadb: MariaDB, tables: str, events: list[Event], between: Event, statement: int
) -> None:
    async def play() -> None:
        database, writer = FragileDatabase(connection(mariadb)), slurmdbd(mariadb)
        replay, source = Replay(writer, database), SlurmAcct(CLUSTER, database, KEY, RETENTION)
        for _ in range(4):
            writer.submit()
        await source.fetch(NOW)
        for name, pick, _ in events:
            replay._write(name, pick, 0)
        database.write, database.writes_in = lambda: replay._write(between[0], between[1], 0), statement
        await source.fetch(NOW)
        database.writes_in = None
        runs = {submission(run): run for run in (await source.fetch(NOW)).runs}
        truth = {submission(run): run for run in Model(writer)._read(NOW)}
        gone = {run for run in runs if run not in truth}
        assert {**_open(runs), **{run: truth[run] for run in truth if not truth[run].is_open}} == truth
        assert runs.keys() >= truth.keys(), "runs that were open a moment ago, and have ended"
        assert all(not runs[run].is_open for run in gone)
        await database.close()

    asyncio.run(play())


async def test_the_same_change_in_two_rows_of_a_block_does_not_cancel_out(mariadb: MariaDB, tables: str) -> None:
    """CRC32 changes by the same bits in both; so does a sum of bits over the block, were the key not in it."""
    writer, database = slurmdbd(mariadb), FragileDatabase(connection(mariadb))
    for _ in range(6):
        writer.submit()
    source = SlurmAcct(CLUSTER, database, KEY, RETENTION)
    await source.fetch(NOW)
    crc = "SELECT BIT_XOR(CRC32(CONCAT_WS('|', id_job, timelimit))) FROM {table} WHERE job_db_inx MOD 3=1"
    ((before,),) = writer.execute(crc)
    for key in (1, 4):
        writer.change(key, 90)
    ((after,),) = writer.execute(crc)
    runs = (await source.fetch(NOW + 30)).runs
    await database.close()
    assert before == after
    assert {run.run_id for run in runs if run.time_limit_seconds == 5400} == {1, 4}


async def test_a_change_that_no_fingerprint_shows_is_known_within_the_hour(
    mariadb: MariaDB, tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_fingerprint", lambda schema: "1")
    writer, database = slurmdbd(mariadb), FragileDatabase(connection(mariadb))
    for _ in range(9):
        writer.submit()
    source = SlurmAcct(CLUSTER, database, KEY, RETENTION)
    await source.fetch(NOW)
    for key in range(1, 10):
        writer.change(key, 90)
    changed = []
    for step in range(0, int(OPEN_SWEEP_SECONDS) + 1, 300):
        runs = (await source.fetch(NOW + step)).runs
        changed.append(sum(run.time_limit_seconds == 5400 for run in runs))
    await database.close()
    assert (changed[0], changed[-1]) == (0, 9)
    assert {*changed} == {0, 3, 6, 9}, "some at a time"
