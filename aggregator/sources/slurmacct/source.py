"""Fetch one cluster's runs from slurmacct."""

from collections.abc import Collection, Iterable, Mapping

from aggregator.model.accounting import Accounting, Run
from aggregator.model.jobid import JobId
from aggregator.model.script import RecordedScript
from aggregator.sources.mysql import Database, Row, SchemaError
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.rows import Dimensions, RunRow, parse_dimensions, parse_run
from aggregator.sources.slurmacct.schema import Schema, discover

# Rows appear late and clocks differ: each read of ended runs reaches back this far beyond the last one.
OVERLAP_SECONDS = 120.0
# A runaway fix can write an end time of 2106; nothing that ends after tomorrow has ended.
FUTURE_SECONDS = 86_400.0
DIMENSIONS_SECONDS = 300.0
_NOT_OFFERED = "slurmdbd keeps no scripts (AccountingStoreFlags=job_script), or the table of scripts is not granted"


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
    ) -> None:
        self.rows = 0
        self._cluster = cluster
        self._database = database
        self._key = key
        self._retention = retention_seconds
        self._ignored = frozenset(ignored_partitions)
        self._schema: Schema | None = None
        self._dimensions = Dimensions()
        self._dimensions_time = 0.0
        self._last_fetch: float | None = None
        self._ended: dict[int, Run] = {}
        # Rows seen last time with the run made of each: most rows do not change between two refreshes.
        self._parsed: dict[int, tuple[Row, Run]] = {}

    @property
    def features(self) -> Mapping[str, bool]:
        """Tell which optional columns of the job table this release has."""
        schema = self._schema
        if schema is None:
            return {}
        return {**{column: schema.has("job", column) for column in statements.RUN_COLUMNS}, **schema.around()}

    async def fetch(self, at: float) -> Accounting:
        """Read the open runs and those that ended within the retention time.

        Raises FetchError; a changed schema is discovered anew at the next fetch.
        """
        try:
            schema = await self._discovered()
            await self._refresh_dimensions(schema, at)
            open_rows = await self._database.rows(statements.open_runs(schema))
            ended_rows = await self._database.rows(statements.ended_runs(schema), self._ended_window(at))
            if self._refers_to_unknown(open_rows):
                await self._refresh_dimensions(schema, at, force=True)
        except SchemaError:
            self._schema = None
            raise
        self.rows = len(open_rows) + len(ended_rows)
        self._remember_ended(ended_rows, at)
        runs = self._parse_open(open_rows, at)
        # Read committed, two statements: a run that ended in between is in both, and its end is the newer fact.
        live = [run for run in runs if run.run_id not in self._ended]
        self._last_fetch = at
        return Accounting(at, (*live, *self._ended.values()), self._dimensions.accounts, self._dimensions.members)

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        """Read every run that an id means, oldest first, at most MAX_RUNS_OF_ID per meaning.

        Raises FetchError.
        """
        schema, _ = await self.known()
        at = self._last_fetch or 0.0
        sql, parameters = _statement_of(schema, asked)
        runs = self._parse(await self._database.rows(sql, parameters), at)
        return tuple(sorted(runs, key=lambda run: (run.submit, run.run_id)))

    async def ended_since(self, since: float) -> tuple[Run, ...]:
        """Read the runs that ended at or after epoch time `since`, in no order.

        Raises FetchError.
        """
        schema = await self._discovered()
        at = self._last_fetch or since
        window = (int(since), int(at + FUTURE_SECONDS))
        return tuple(self._parse(await self._database.rows(statements.ended_runs(schema), window), at))

    async def script_of(self, run: Run) -> RecordedScript:
        """Read the script of one run, or why there is none; a table that may not be read is one that is not offered.

        Raises FetchError.
        """
        sql = statements.script(await self._discovered())
        if sql is None:
            return RecordedScript(missing=_NOT_OFFERED)
        try:
            rows = await self._database.rows(sql, (statements.MAX_SCRIPT_BYTES + 1, run.run_id))
        except SchemaError as error:
            self._schema = None
            return RecordedScript(missing=f"{_NOT_OFFERED}: {error}")
        return _recorded(rows)

    async def known(self) -> tuple[Schema, Dimensions]:
        """Give the schema and the small tables, for reads on demand.

        Raises FetchError.
        """
        schema = await self._discovered()
        if not self._dimensions_time:
            await self._refresh_dimensions(schema, self._last_fetch or 0.0)
        return schema, self._dimensions

    def forget_schema(self) -> None:
        """Discover the schema anew at the next read: a table or column was not there."""
        self._schema = None

    def run_of(self, row: Row) -> Run | None:
        """Parse a row of RUN_COLUMNS that was read on demand; None for one that is not shown."""
        return self._parse_row(row, self._last_fetch or 0.0)

    async def _discovered(self) -> Schema:
        if self._schema is None:
            self._schema = await discover(self._database, self._cluster, self._key)
        return self._schema

    async def _refresh_dimensions(self, schema: Schema, at: float, *, force: bool = False) -> None:
        if not force and self._dimensions_time and at - self._dimensions_time < DIMENSIONS_SECONDS:
            return
        self._dimensions = parse_dimensions(
            await self._database.rows(statements.associations(schema)),
            await self._database.rows(statements.TRES),
            await self._database.rows(statements.QOS),
            await self._database.rows(statements.ACCOUNTS),
        )
        self._dimensions_time = at or 1.0
        self._parsed.clear()

    def _refers_to_unknown(self, rows: Iterable[Row]) -> bool:
        """Tell whether a new run has an association that is not loaded yet."""
        known = self._dimensions.associations
        new = (RunRow(*row) for row in rows if row[0] not in self._parsed)
        return any(row.id_assoc and row.id_assoc not in known for row in new)

    def _ended_window(self, at: float) -> tuple[float, float]:
        oldest = at - self._retention - OVERLAP_SECONDS
        since = oldest if self._last_fetch is None else max(oldest, self._last_fetch - OVERLAP_SECONDS)
        return int(since), int(at + FUTURE_SECONDS)

    def _remember_ended(self, rows: Iterable[Row], at: float) -> None:
        for run in self._parse(rows, at):
            self._ended[run.run_id] = run
        oldest = at - self._retention
        self._ended = {run_id: run for run_id, run in self._ended.items() if run.end is not None and run.end > oldest}

    def _parse_open(self, rows: Iterable[Row], at: float) -> list[Run]:
        """Parse the open rows, reusing the run of a row that has not changed."""
        parsed: dict[int, tuple[Row, Run]] = {}
        for row in rows:
            before = self._parsed.get(row[0])
            if before is not None and before[0] == row and not before[1].suspended_seconds:
                parsed[row[0]] = before
            elif run := self._parse_row(row, at):
                parsed[row[0]] = (row, run)
        self._parsed = parsed
        return [run for _, run in parsed.values()]

    def _parse(self, rows: Iterable[Row], at: float) -> list[Run]:
        return [run for row in rows if (run := self._parse_row(row, at))]

    def _parse_row(self, row: Row, at: float) -> Run | None:
        """Parse one row; None for one that is not shown."""
        run = parse_run(self._cluster, RunRow(*row), self._dimensions, at)
        return None if run is None or run.partition in self._ignored else run


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
