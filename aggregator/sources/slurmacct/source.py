"""Fetch one cluster's runs from slurmacct."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import polars as pl

from aggregator.executors import ANSWERS, REFRESH
from aggregator.executors import run as call
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import NO_RUNS, Accounting, Runs, runs_of
from aggregator.model.jobid import JobId
from aggregator.model.nodename import NodeRule
from aggregator.model.script import RecordedScript
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.mysql import Database, DeniedError, Reads, Row, SchemaError, TableLockedError
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.associations import SmallTables, SmallTablesReader
from aggregator.sources.slurmacct.features import features_of
from aggregator.sources.slurmacct.feed import RunFeed
from aggregator.sources.slurmacct.followed import FUTURE_SECONDS, Followed, Reading
from aggregator.sources.slurmacct.pause import Pause
from aggregator.sources.slurmacct.rows import Dimensions, RunRow, close_replaced, parse_run, renamed
from aggregator.sources.slurmacct.schema import Schema, discover

TABLES_SECONDS = 300.0
# Rows parsed in one go, in a thread: some 20 ms.
PIECE_ROWS = 1000
_NOT_OFFERED = "slurmdbd keeps no scripts (AccountingStoreFlags=job_script), or the table of scripts is not granted"


class _Parsed(NamedTuple):
    """The runs of the rows that the feed follows, and the names that they were made with."""

    runs: Runs
    names: Dimensions


class SlurmAcct:
    """Keep the runs of one cluster current: open ones are read at every fetch, ended ones since the last fetch."""

    name = "slurmacct"

    def __init__(
        self,
        cluster: str,
        database: Database,
        key: str,
        retention_seconds: float,
        ignored_partitions: Collection[str] = (),
        scripts: Reads | None = None,
        names: NodeRule | None = None,
    ) -> None:
        """Read from a database, and scripts from elsewhere where that is given; names is the rule for nodes.

        `numbers` learns which job each SLUID is that a row has.
        """
        self.cluster = cluster
        self.names = names or NodeRule()
        self.numbers = JobNumbers()
        self._database = database
        self._scripts = scripts or database
        self._key = key
        self._ignored = frozenset(ignored_partitions)
        self._schema: Schema | None = None
        self._reader = SmallTablesReader(database, self.names)
        self._tables = SmallTables()
        self._tables_time = 0.0
        self._gone_associations: set[int] = set()
        self._last_fetch: float | None = None
        self._feed = RunFeed(database, retention_seconds)
        self._pause = Pause(key)
        self._parsed = _Parsed(NO_RUNS, Dimensions())

    @property
    def rows(self) -> int:
        """Rows of open and lately ended runs that the last fetch looked at."""
        return self._feed.rows

    @property
    def session(self) -> str:
        """Say whether the connection is encrypted, and how many the service needs."""
        return self._database.session

    @property
    def schema(self) -> Schema | None:
        """Give the schema, None before it was read and after it turned out to have changed."""
        return self._schema

    @property
    def features(self) -> Mapping[str, bool]:
        """Tell what this cluster's schema offers, and whether any cluster tracks GPUs; nothing before it was read."""
        if self._schema is None:
            return {}
        return {**features_of(self._schema), "gpus": bool(self._tables.dimensions.gpu_ids)}

    async def fetch(self, at: float) -> Accounting:
        """Read the open runs and those that ended within the retention time.

        Raises FetchError; a changed schema is discovered anew at the next fetch.
        """
        async with self._reading(at) as schema:
            if self._tables_are_due(at):
                await self._refresh_tables(schema, at)
            reading = await self._feed.read(schema, at)
            if unknown := self._unknown_associations(known.row for known in reading.rows.values()):
                await self._refresh_tables(schema, at)
                # One that this reading does not bring either is gone, and not asked for again and again.
                self._gone_associations |= unknown
        self._pause.end()
        small = self._tables
        known = small.dimensions
        followed = await call(REFRESH, self._feed.after, reading)
        parsed = await self._parse_again(reading, followed, known, at)
        runs = await call(REFRESH, close_replaced, parsed.runs)
        # What a fetch that is cancelled before has made is dropped whole.
        replaced: list[object] = [self._feed.followed, self._parsed]
        self._feed.take(reading, followed)
        self._parsed, self._last_fetch = parsed, at
        self.numbers.forget((known.row.sluid, known.row.id_job) for known in followed.known.values())
        # Rows are freed where they were made: thousands of them take the loop's time.
        await call(REFRESH, replaced.clear)
        asked = {self.name: (statements.question(schema.table("job"), at),)}
        return Accounting(at, runs, small.associations, small.nodes, schema.missing(), asked)

    @asynccontextmanager
    async def _reading(self, at: float | None = None) -> AsyncIterator[Schema]:
        """Give the schema; when the tables turn out to be changing, forget it, and let the timer's fetches pause.

        `at` is the time of such a fetch, None for a read on demand.
        """
        self._pause.check(at)
        try:
            yield await self._discovered()
        except DeniedError:
            self._schema = None
            raise
        except (SchemaError, TableLockedError) as error:
            self._schema = None
            raise (self._pause.describe(error) if at is None else self._pause.begin(error, at)) from error

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        """Read every run that an id means, oldest first, at most MAX_RUNS_OF_ID per meaning.

        Raises FetchError.
        """
        at = self._last_fetch or 0.0
        schema, _ = await self.known()
        async with self._reading():
            sql, parameters = _statement_of(schema, asked)
            rows = await self._database.rows(sql, parameters)
        return await call(ANSWERS, self._oldest_first, rows, at)

    def _oldest_first(self, rows: Iterable[Row], at: float) -> tuple[Run, ...]:
        found = close_replaced(self._parse((RunRow(*row) for row in rows), at))
        return tuple(sorted(found, key=lambda run: (run.submit, run.run_id)))

    async def ended_since(self, since: float) -> Runs:
        """Read the runs that ended at or after epoch time `since`, in no order.

        Raises FetchError.
        """
        at = self._last_fetch or since
        async with self._reading() as schema:
            rows = await self._ended(schema, int(since), int(at + FUTURE_SECONDS))
        return Runs(pl.concat([NO_RUNS.runs, *[piece.runs async for piece in self._pieces(list(rows.values()), at)]]))

    async def _ended(self, schema: Schema, since: int, before: int) -> dict[int, RunRow]:
        """Read the rows that ended in a time chunk by chunk, by key: a row that changes meanwhile may come twice."""
        sql, rows = statements.ended_runs(schema), dict[int, RunRow]()
        parameters = statements.after(since, 0, 0, before)
        while True:
            chunk = [RunRow(*row) for row in await self._database.rows(sql, parameters)]
            rows.update((row.job_db_inx, row) for row in chunk)
            if len(chunk) < statements.CHUNK_RUNS:
                return rows
            parameters = statements.after(chunk[-1].time_end, chunk[-1].time_eligible, chunk[-1].job_db_inx, before)

    async def script_of(self, run: Run) -> RecordedScript:
        """Read the script of one run, or why there is none; a table that may not be read is one that is not offered.

        Raises FetchError.
        """
        self._pause.check()
        sql = statements.script(await self._discovered())
        if sql is None:
            return RecordedScript(missing=_NOT_OFFERED)
        try:
            rows = await self._scripts.rows(sql, (statements.MAX_SCRIPT_BYTES + 1, run.run_id))
        except SchemaError as error:
            self._schema = None
            return RecordedScript(missing=f"{_NOT_OFFERED}: {error}")
        return _recorded(rows)

    async def known(self) -> tuple[Schema, SmallTables]:
        """Give the schema and the small tables, for reads on demand.

        Raises FetchError.
        """
        async with self._reading() as schema:
            if not self._tables_time:
                await self._refresh_tables(schema, self._last_fetch or 0.0)
            return schema, self._tables

    def forget_schema(self) -> None:
        """Discover the schema anew at the next read: a table or column was not there."""
        self._schema = None

    def run_of(self, row: Row) -> Run | None:
        """Parse a row of RUN_COLUMNS that was read on demand; None for one that is not shown."""
        return self._parse_row(RunRow(*row), self._last_fetch or 0.0)

    async def _discovered(self) -> Schema:
        if self._schema is None:
            self._schema = await discover(self._database, self.cluster, self._key)
        return self._schema

    def _tables_are_due(self, at: float) -> bool:
        return not (self._tables_time and 0 <= at - self._tables_time < TABLES_SECONDS)

    async def _refresh_tables(self, schema: Schema, at: float) -> None:
        self._tables = await self._reader.read(schema)
        self._tables_time = at or 1.0

    def _unknown_associations(self, rows: Iterable[RunRow]) -> set[int]:
        """Give the associations of rows that may have been added since the small tables were read."""
        known = self._tables.dimensions.associations.keys()
        return {row.id_assoc for row in rows} - known - self._gone_associations - {0}

    async def _parse_again(self, reading: Reading, followed: Followed, names: Dimensions, at: float) -> _Parsed:
        """Give the run of each row, which is made anew where the row or a name that it refers to has changed."""
        gone, rows = await call(REFRESH, self._to_parse, reading, followed, names)
        runs = self._parsed.runs
        changed = [piece async for piece in self._pieces(rows, at)]
        return _Parsed(await call(REFRESH, _put, runs, changed, gone), names)

    def _to_parse(self, reading: Reading, followed: Followed, names: Dimensions) -> tuple[set[int], list[RunRow]]:
        """Give the ids of the runs that do not stay as they are, and the rows of those that are still there."""
        before, changes = self._feed.followed.known, renamed(self._parsed.names, names)
        # The time that a suspended run has been suspended grows.
        suspended = self._parsed.runs.runs.filter(pl.col("suspended_since").is_not_null())["run_id"]
        keys = {key for key, known in reading.rows.items() if known != before.get(key)}.union(suspended)
        if changes:
            keys |= {key for key, known in followed.known.items() if changes.concerns(known.row)}
        rows = [followed.known[key].row for key in keys if key in followed.known]
        return keys | (before.keys() - followed.known.keys()), rows

    async def _pieces(self, rows: Sequence[RunRow], at: float) -> AsyncIterator[Runs]:
        """Parse rows in pieces, each in a thread."""
        for begin in range(0, len(rows), PIECE_ROWS):
            yield await call(REFRESH, self._parse, rows[begin : begin + PIECE_ROWS], at)

    def _parse(self, rows: Iterable[RunRow], at: float) -> Runs:
        return Runs(runs_of(run for row in rows if (run := self._parse_row(row, at))).runs, self.cluster)

    def _parse_row(self, row: RunRow, at: float) -> Run | None:
        """Parse one row; None for one that is not shown."""
        self.numbers.learn(row.sluid, row.id_job)
        run = parse_run(self.cluster, row, self._tables.dimensions, at, self.names)
        return None if run is None or run.partition in self._ignored else run


def _put(runs: Runs, pieces: Sequence[Runs], gone: Collection[int]) -> Runs:
    """Give runs with pieces of others in place of those that have changed or gone."""
    changed = pl.concat([NO_RUNS.runs, *(piece.runs for piece in pieces)], rechunk=True)
    return runs.with_changes(Runs(changed, pieces[0].cluster if pieces else runs.cluster), gone)


def _recorded(rows: list[Row]) -> RecordedScript:
    if not rows:
        return RecordedScript(missing="slurmdbd has no script of this run, which may not be a batch job")
    content = rows[0][0]
    if content is None:
        return RecordedScript(missing="slurmdbd has not got the script yet, or the run has none")
    script = bytes(content[: statements.MAX_SCRIPT_BYTES])
    return RecordedScript(script, truncated=len(content) > len(script))


def _statement_of(schema: Schema, asked: JobId) -> tuple[str, tuple[int, ...]]:
    if asked.array_task is not None:
        return statements.runs_of_array_task(schema), (asked.job_id, asked.array_task)
    if asked.het_offset is not None:
        return statements.runs_of_component(schema), (asked.job_id, asked.het_offset)
    sql = statements.runs_of_id(schema)
    return sql, (asked.job_id,) * sql.count("%s")
