"""Finished runs of one cluster, beyond the snapshot: read on demand, in chunks that an index orders.

The pages are found in rollup2(time_end, time_eligible) or sacct_def2(id_user, time_end, time_eligible), which with the
primary key that every index ends with are covering: a chunk costs its rows, whatever the table's size. Rows that are
marked deleted are dropped here, not in the statement, so that LIMIT bounds what is examined too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from aggregator import executors
from aggregator.model.accounting import Run
from aggregator.model.history import Chunk, OfName, RunKey, Search, run_key
from aggregator.sources.mysql import Reads, Row, SchemaError
from aggregator.sources.slurmacct.rows import RunRow, unpack
from aggregator.sources.slurmacct.schema import Schema
from aggregator.sources.slurmacct.source import SlurmAcct
from aggregator.sources.slurmacct.statements import MAX_RUNS_OF_ID, packed_columns

CHUNK_ROWS: Final = 1000
# With several users each has an index range of its own; their chunks are merged.
MIN_ROWS_PER_USER: Final = 50
MAX_USERS: Final = 64
MAX_ASSOCIATIONS: Final = 128
MAX_ARRAY_RUNS: Final = 10_000
# Of a user's newest runs so many are looked at for those of one name.
MAX_LOOKED_AT: Final = 2000
MAX_OF_NAME: Final = 100
_ORDER: Final = "time_end DESC, time_eligible DESC, job_db_inx DESC"
_AFTER: Final = (
    " AND (time_end<%s OR (time_end=%s AND time_eligible<%s) OR (time_end=%s AND time_eligible=%s AND job_db_inx<%s))"
)


def ended_chunk(schema: Schema, *, by_user: bool, after: bool) -> str:
    """Select one chunk of ended runs, packed columns and `deleted`, in no order.

    Parameters: ([uid,] since, until, [those of `after_parameters`,] rows).
    """
    user = "id_user=%s AND " if by_user else ""
    return (
        f"(SELECT {packed_columns(schema)}, deleted FROM"  # noqa: S608
        f" (SELECT job_db_inx AS chosen FROM {schema.table('job')}"
        f" WHERE {user}time_end>=%s AND time_end<%s{_AFTER if after else ''} ORDER BY {_ORDER} LIMIT %s) AS chunk"
        f" JOIN {schema.table('job')} ON job_db_inx=chosen)"
    )


def after_parameters(key: RunKey | None) -> tuple[int, ...]:
    """Give the parameters that stand for a place in the order."""
    if key is None:
        return ()
    end, eligible, run_id = key
    return end, end, eligible, end, eligible, run_id


def array_runs(schema: Schema) -> str:
    """Select the ended runs of one array: parameters (array's id, since, until, rows); served by array_job."""
    return (
        f"SELECT {packed_columns(schema)}, deleted FROM {schema.table('job')}"  # noqa: S608
        " WHERE id_array_job=%s AND time_end>=%s AND time_end<%s ORDER BY job_db_inx DESC LIMIT %s"
    )


def runs_of_name(schema: Schema) -> str:
    """Select the newest ended runs of one user and one name: parameters (uid, since, until, name).

    The user's newest are found in the index alone, and joined first: there is no index on names.
    """
    return (
        f"SELECT {packed_columns(schema)}, deleted FROM"  # noqa: S608
        f" (SELECT job_db_inx AS chosen FROM {schema.table('job')}"
        f" WHERE id_user=%s AND time_end>=%s AND time_end<%s ORDER BY {_ORDER} LIMIT {MAX_LOOKED_AT}) AS newest"
        f" STRAIGHT_JOIN {schema.table('job')} ON job_db_inx=chosen"
        f" WHERE CAST(job_name AS BINARY)=CAST(%s AS BINARY) ORDER BY {_ORDER} LIMIT {MAX_OF_NAME}"
    )


def uids_of_associations(schema: Schema, associations: int) -> str:
    """Select the uid of the newest and of the oldest run of each association, given twice: two rows read for each.

    slurmacct has no table of uids: a user's name and uid meet in the job table alone.
    """
    arms = (
        f"(SELECT id_user FROM {schema.table('job')} WHERE id_assoc=%s ORDER BY job_db_inx {order} LIMIT 1)"  # noqa: S608
        for order in ("ASC", "DESC")
        for _ in range(associations)
    )
    return " UNION ".join(arms)


class SlurmHistory:
    """Read ended runs of one cluster in bounded chunks."""

    def __init__(self, accounting: SlurmAcct, database: Reads) -> None:
        self._accounting = accounting
        self._database = database

    async def uids(self, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        """Find the uids of users, in these accounts only where some are given; None: too many to search by.

        Raises FetchError.
        """
        schema, tables = await self._accounting.known()
        associations = tables.dimensions.associations
        ids = [
            id_assoc
            for id_assoc, (user, account) in associations.items()
            if user and (not users or user in users) and (not accounts or account in accounts)
        ]
        named = {user for user, _ in associations.values()}
        # A run whose association is gone is shown under its uid.
        bare = {int(user) for user in users - named if user.isascii() and user.isdecimal() and len(user) <= 10}
        if len(ids) > MAX_ASSOCIATIONS:
            return None
        found = await self._rows(uids_of_associations(schema, len(ids)), (*ids, *ids)) if ids else []
        uids = frozenset(bare | {int(uid) for (uid,) in found})
        return uids if len(uids) <= MAX_USERS else None

    async def ended(self, search: Search, after: RunKey | None) -> Chunk:
        """Read the next chunk of a search.

        Raises FetchError.
        """
        if search.ids or search.arrays:
            return await self._named(search, after)
        schema, _ = await self._accounting.known()
        users: Sequence[int | None] = (None,) if search.uids is None else sorted(search.uids)
        if not users:
            return Chunk((), None, 0)
        share = max(MIN_ROWS_PER_USER, CHUNK_ROWS // len(users))
        arm = ended_chunk(schema, by_user=search.uids is not None, after=after is not None)
        window = (search.since, search.until, *after_parameters(after), share)
        parameters = [number for uid in users for number in ((*window,) if uid is None else (uid, *window))]
        rows = await self._rows(" UNION ALL ".join([arm] * len(users)), parameters)
        return await executors.run(executors.ANSWERS, self._chunk, rows, share, search.uids is not None)

    async def of_name(self, asked: OfName) -> tuple[Run, ...]:
        """Read the newest runs of one user and one name, the newest end first.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        parameters = (asked.uid, asked.since, asked.until, asked.name)
        keyed = self._keyed(_unpacked(await self._rows(runs_of_name(schema), parameters)))
        return tuple(run for _, run in sorted(keyed, key=lambda each: each[0], reverse=True))

    def _chunk(self, rows: Sequence[Row], share: int, by_user: bool) -> Chunk:
        found = _unpacked(rows)
        last = _last_complete((row for row, _ in found), share, by_user=by_user)
        runs = (each for each in self._keyed(found) if last is None or each[0] >= last)
        return Chunk(tuple(sorted(runs, key=lambda each: each[0], reverse=True)), last, len(rows))

    async def _named(self, search: Search, after: RunKey | None) -> Chunk:
        """Read the runs of ids and arrays, all of them at once: there are not many."""
        schema, _ = await self._accounting.known()
        found: dict[int, Run] = {}
        examined, cut = 0, False
        for asked in search.ids:
            runs = await self._accounting.runs_of(asked)
            examined, cut = examined + len(runs), cut or len(runs) >= MAX_RUNS_OF_ID
            found.update((run.run_id, run) for run in runs)
        for array in search.arrays:
            rows = await self._rows(array_runs(schema), (array, search.since, search.until, MAX_ARRAY_RUNS))
            examined, cut = examined + len(rows), cut or len(rows) == MAX_ARRAY_RUNS
            found.update((run.run_id, run) for _, run in self._keyed(_unpacked(rows)))
        keyed = ((run_key(run), run) for run in found.values() if search.since <= (run.end or 0) < search.until)
        left = sorted((each for each in keyed if after is None or each[0] < after), key=lambda each: each[0])
        return Chunk(tuple(reversed(left)), None, examined, cut)

    def _keyed(self, rows: Iterable[tuple[RunRow, bool]]) -> Iterable[tuple[RunKey, Run]]:
        for row, deleted in rows:
            run = None if deleted else self._accounting.run_of(row)
            if run is not None:
                yield _key(row), run

    async def _rows(self, sql: str, parameters: Sequence[object]) -> list[Row]:
        try:
            return await self._database.rows(sql, parameters)
        except SchemaError:
            self._accounting.forget_schema()
            raise


def _unpacked(rows: Iterable[Row]) -> list[tuple[RunRow, bool]]:
    return [(unpack(*columns), deleted) for *columns, deleted in rows]


def _key(row: RunRow) -> RunKey:
    return row.time_end, row.time_eligible, row.job_db_inx


def _last_complete(rows: Iterable[RunRow], share: int, *, by_user: bool) -> RunKey | None:
    """Give the key down to which every user's rows are read; None when all of them are.

    A user whose share is full may have more rows below the last one: what others have below that must wait.
    """
    keys: defaultdict[int, list[RunKey]] = defaultdict(list)
    for row in rows:
        keys[row.id_user if by_user else 0].append(_key(row))
    return max((min(read) for read in keys.values() if len(read) >= share), default=None)
