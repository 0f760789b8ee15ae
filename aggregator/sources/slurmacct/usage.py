"""Read what slurmdbd has rolled up: the associations' and the cluster's usage by hour, day and month."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from aggregator import executors
from aggregator.model.association import USED_TRES_SECONDS, Associations
from aggregator.model.calendar import DAY, HOUR, RESOLUTIONS, Resolution, Rolled, Segment
from aggregator.model.decay import Decay
from aggregator.model.tres import MEBIBYTE
from aggregator.model.usage import (
    CLUSTER_STATES,
    ENERGY_ID,
    LEFT_SECONDS,
    MEMORY_ID,
    SEGMENT_SECONDS,
    UsageCatalog,
)
from aggregator.sources.base import FetchError, Plan
from aggregator.sources.mysql import Reads, Row, SchemaError
from aggregator.sources.replica import ReplicaLostError
from aggregator.sources.slurmacct import usage_statements
from aggregator.sources.slurmacct.associations import SmallTables
from aggregator.sources.slurmacct.schema import Schema
from aggregator.sources.slurmacct.source import SlurmAcct
from aggregator.sources.slurmacct.zone import choose_calendar

CATALOG_SECONDS: Final = 300.0
# What each reading is tried, should slurmdbd roll up or the replica fail in the middle of it.
_ATTEMPTS = 3
# Months are read only where nothing decays.
_LENGTHS: Final[Mapping[Resolution, float]] = {"hour": HOUR, "day": DAY, "month": 30 * DAY}
# From the schema, the table's resolution and the number of associations to the statement.
_Statement = Callable[[Schema, Resolution, int], str]


class _RolledMeanwhile(Exception):
    """slurmdbd has rolled up between two chunks of one reading."""


class SlurmUsage:
    """The roll-up tables of one cluster, read in short snapshots: until when they are final belongs to the rows."""

    def __init__(
        self,
        accounting: SlurmAcct,
        database: Reads,
        key: str,
        timezone: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounting = accounting
        self._database = database
        self._key = key
        self._timezone = timezone
        self._clock = clock
        self._schema: Schema | None = None
        self._catalog: UsageCatalog | None = None
        self._catalog_until = 0.0
        self._lock = asyncio.Lock()

    async def catalog(self) -> UsageCatalog | None:
        """Give what the rows refer to, read anew after CATALOG_SECONDS; None where a table is missing or not granted.

        Raises FetchError.
        """
        async with self._lock:
            if self._clock() >= self._catalog_until:
                self._schema, tables = await self._offered()
                try:
                    self._catalog = await self._read_catalog(self._schema, tables) if self._schema else None
                except SchemaError:
                    self._accounting.forget_schema()
                    raise
                self._catalog_until = self._clock() + CATALOG_SECONDS
            return self._catalog

    async def rolled(self) -> Rolled:
        """Read until when what is final.

        Raises FetchError.
        """
        schema, _ = await self._known()
        return _rolled(await self._database.rows(usage_statements.last_ran(schema)))

    async def series(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, qos: Collection[int] = ()
    ) -> tuple[Rolled, Mapping[tuple[str, float], float]]:
        """Sum up associations: (TRES, start of the row's period) → TRES × seconds; of these QOS, or of all.

        Raises FetchError.
        """
        schema, names = await self._known()
        wanted = _ids(names, tres)

        def statement(schema: Schema, resolution: Resolution, count: int) -> str:
            return usage_statements.series(schema, resolution, count, len(wanted), len(qos))

        rolled, found = await self._read(schema, statement, ids, (*qos, *wanted), plan)
        sums: defaultdict[tuple[str, float], float] = defaultdict(float)
        for _, rows in found:
            for tres_id, start, seconds in rows:
                sums[names[tres_id], float(start)] += _seconds(tres_id, seconds)
        return rolled, sums

    async def totals(self, ids: Sequence[int], tres: Collection[str], plan: Plan) -> tuple[Rolled, pl.DataFrame]:
        """Sum up each segment of the plan (SEGMENT_SECONDS).

        Raises FetchError.
        """
        schema, names = await self._known()
        wanted = _ids(names, tres)

        def statement(schema: Schema, resolution: Resolution, count: int) -> str:
            return usage_statements.totals(schema, resolution, count, len(wanted))

        rolled, found = await self._read(schema, statement, ids, wanted, plan)
        return rolled, await executors.run(executors.REFRESH, _totals, found, names)

    async def decayed(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, decay: Decay, at: float
    ) -> tuple[Rolled, pl.DataFrame]:
        """Sum up what is left at `at` (LEFT_SECONDS), each row's spread evenly over its period.

        Raises FetchError.
        """
        schema, names = await self._known()
        wanted = _ids(names, tres)

        def statement(schema: Schema, resolution: Resolution, count: int) -> str:
            return usage_statements.decayed(schema, resolution, count, len(wanted))

        weights = (at, decay.halvings_per_second)
        rolled, found = await self._read(schema, statement, ids if wanted else (), wanted, plan, weights)
        return rolled, await executors.run(executors.REFRESH, _decayed, found, names, decay)

    async def cluster_series(
        self, tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[str, float, str], float]]:
        """Read the whole cluster: (TRES, start of the row's period, state) → TRES × seconds.

        Raises FetchError.
        """
        schema, names = await self._known()
        wanted = _ids(names, tres)

        def statement(schema: Schema, resolution: Resolution, count: int) -> str:
            return usage_statements.cluster_series(schema, resolution, count)

        rolled, found = await self._read(schema, statement, wanted, (), plan)
        return rolled, {
            (names[tres_id], float(start), state): _seconds(tres_id, seconds)
            for _, rows in found
            for tres_id, start, *states in rows
            for state, seconds in zip(CLUSTER_STATES, states, strict=True)
        }

    async def _known(self) -> tuple[Schema, Mapping[int, str]]:
        catalog = await self.catalog()
        if catalog is None or self._schema is None:
            raise FetchError(f"{self._key}: slurmdbd's usage tables are not there, or not granted")
        return self._schema, catalog.tres

    async def _read(
        self,
        schema: Schema,
        statement: _Statement,
        ids: Sequence[int],
        more: Sequence[int],
        plan: Plan,
        weights: Sequence[float] = (),
    ) -> tuple[Rolled, list[tuple[Segment, list[Row]]]]:
        for _ in range(_ATTEMPTS):
            try:
                return await self._read_once(schema, statement, ids, more, plan, weights)
            except (_RolledMeanwhile, ReplicaLostError):
                continue
            except SchemaError:
                self._catalog_until = 0.0
                self._accounting.forget_schema()
                raise
        raise FetchError(f"{self._key}: slurmdbd rolls up again and again while its tables are read")

    async def _read_once(
        self,
        schema: Schema,
        statement: _Statement,
        ids: Sequence[int],
        more: Sequence[int],
        plan: Plan,
        weights: Sequence[float],
    ) -> tuple[Rolled, list[tuple[Segment, list[Row]]]]:
        """Read chunk by chunk, all of which must have seen the same roll-up."""
        first: Rolled | None = None
        found: list[tuple[Segment, list[Row]]] = []
        for start in range(0, max(1, len(ids)), usage_statements.CHUNK):
            chunk = ids[start : start + usage_statements.CHUNK]
            async with self._database.snapshot() as read:
                rolled = _rolled(await read(usage_statements.last_ran(schema)))
                for segment in plan(rolled) if chunk and first in (None, rolled) else ():
                    sql = statement(schema, segment.resolution, len(chunk))
                    rows = await read(sql, (*weights, *chunk, *more, int(segment.begin), int(segment.end)))
                    found.append((segment, rows))
            if first not in (None, rolled):
                raise _RolledMeanwhile
            first = rolled
        assert first is not None
        return first, found

    async def _offered(self) -> tuple[Schema | None, SmallTables]:
        """Give the schema, None where a table that is needed is not there, or not granted, which looks the same."""
        schema, tables = await self._accounting.known()
        if all(map(schema.columns.get, usage_statements.REQUIRED)):
            return schema, tables
        # The GRANT may be given later.
        self._accounting.forget_schema()
        return None, tables

    async def _read_catalog(self, schema: Schema, tables: SmallTables) -> UsageCatalog:
        rows = tables.associations.rows
        parents = rows.filter(pl.col("user") == "").sort("deleted", descending=True, maintain_order=True)
        users = rows.filter(pl.col("user") != "")
        names = {tres_id: name for tres_id, name in tables.tres.items() if tres_id != ENERGY_ID}
        starts = [float(row[0]) for row in await self._database.rows(usage_statements.boundaries(schema))]
        return UsageCatalog(
            dict(zip(users["association_id"], users.select("user", "account").iter_rows(), strict=True)),
            # Of an account that was deleted and made anew, the live one counts.
            dict(parents.select("account", "parent").iter_rows()),
            frozenset(parents.filter(~pl.col("deleted"))["account"]),
            names,
            await executors.run(executors.ANSWERS, choose_calendar, self._timezone, starts),
            await self._first(schema),
            tables.dimensions.qos if all(map(schema.columns.get, (*usage_statements.OPTIONAL, "qos"))) else None,
            _limited(tables.associations) & frozenset(names.values()),
        )

    async def _first(self, schema: Schema) -> dict[Resolution, float]:
        found: dict[Resolution, float] = {}
        for resolution in RESOLUTIONS:
            ((start,),) = await self._database.rows(usage_statements.first(schema, resolution))
            if start is not None:
                found[resolution] = float(start)
        return found


def _totals(found: Iterable[tuple[Segment, list[Row]]], names: Mapping[int, str]) -> pl.DataFrame:
    sums = [
        (segment.begin, id_assoc, names[tres_id], _seconds(tres_id, seconds))
        for segment, rows in found
        for id_assoc, tres_id, seconds in rows
    ]
    return pl.DataFrame(sums, schema=SEGMENT_SECONDS, orient="row")


def _decayed(found: Iterable[tuple[Segment, list[Row]]], names: Mapping[int, str], decay: Decay) -> pl.DataFrame:
    """Add up the segments: a row weighs as much as its beginning; all of its period weighs a little more."""
    sums = [
        (id_assoc, names[tres_id], _seconds(tres_id, seconds) * evenly)
        for segment, rows in found
        for evenly in [decay.mean_weight(0.0, _LENGTHS[segment.resolution], 0.0)]
        for id_assoc, tres_id, seconds in rows
    ]
    every = pl.DataFrame(sums, schema=LEFT_SECONDS, orient="row")
    return every.group_by("association_id", "tres").agg(pl.col("seconds").sum())


def _rolled(rows: Sequence[Row]) -> Rolled:
    """Read the one row of last_ran; slurmdbd makes it at the first roll-up."""
    return Rolled(*map(float, rows[0])) if rows else Rolled(0.0, 0.0, 0.0)


def _limited(associations: Associations) -> frozenset[str]:
    """Name the TRES of which associations may use so many minutes."""
    return frozenset(associations.limits.filter(pl.col("limit") == USED_TRES_SECONDS)["tres"])


def _ids(names: Mapping[int, str], wanted: Collection[str]) -> list[int]:
    return [tres_id for tres_id, name in names.items() if name in wanted]


def _seconds(tres_id: int, seconds: object) -> float:
    """Give the seconds; slurmdbd counts memory in MiB."""
    return float(str(seconds)) * (MEBIBYTE if tres_id == MEMORY_ID else 1)
