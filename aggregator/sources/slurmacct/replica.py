"""Measure how far a replica of slurmacct is behind, from what is in the job tables of both.

SHOW REPLICA STATUS is not asked: it needs a GRANT of its own, differs between servers, and says 0 of a connection that
has died silently. The newest rows tell the same of every kind of replica. While nothing is written nothing is missing:
then the lag is 0, whether or not replication works.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aggregator.model.replication import Replication
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Database, Reads
from aggregator.sources.replica import ReplicaState
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.followed import FUTURE_SECONDS
from aggregator.sources.slurmacct.schema import Schema, discover
from aggregator.sources.slurmacct.source import SlurmAcct


class _Newest(NamedTuple):
    """The largest key and the latest end of a job table: one of them grows with each job."""

    key: int
    end: int


class SlurmReplica:
    """A source of nothing but its own lag."""

    name: Final = "slurmacct_replica"

    def __init__(
        self, accounting: SlurmAcct, key: str, *, replica: Database, primary: Reads, state: ReplicaState
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._accounting = accounting
        self._key = key
        self._replica = replica
        self._primary = primary
        self._state = state
        self._schema: Schema | None = None
        self._compared_with: Schema | None = None
        self._complete: float | None = None

    @property
    def session(self) -> str:
        """Say whether the connection is encrypted, and how many the service needs."""
        return self._replica.session

    def notes(self) -> list[str]:
        """Say what an answer must tell of where it was read."""
        return self._state.notes()

    async def fetch(self, at: float) -> Replication:
        """Try the replica, and measure as of epoch time `at`.

        Raises FetchError of the replica; one of the primary makes the lag unknown.
        """
        try:
            lag = await self._measure(at)
        except FetchError as error:
            self._state.failed(error)
            self._schema = None
            raise
        self._state.measured(lag)
        return Replication(lag)

    async def _measure(self, at: float) -> float | None:
        schema = await self._discovered()
        before = int(at + FUTURE_SECONDS)
        try:
            # The primary first: what is written in between is not held against the replica.
            wanted = await _newest(self._primary, schema, before)
        except FetchError:
            wanted = None
        found = await _newest(self._replica, schema, before)
        if wanted is None:
            return None
        if found.key >= wanted.key and found.end >= wanted.end:
            self._complete = at
            return 0.0
        return await self._behind(schema, found, before, at)

    async def _behind(self, schema: Schema, found: _Newest, before: int, at: float) -> float | None:
        """Tell for how long the oldest row has been written that the replica lacks.

        At the last measurement at which nothing was missing it was not behind: some writes leave an old mod_time.
        """
        try:
            written = await self._primary.rows(statements.written_after(schema), (found.key, found.end, before))
        except FetchError:
            return None
        lag = max(0.0, at - min((int(row[0]) for row in written), default=at))
        return lag if self._complete is None else min(lag, max(0.0, at - self._complete))

    async def _discovered(self) -> Schema:
        """Give the replica's schema, which must have what the primary's has.

        Raises FetchError that names the tables.
        """
        expected = self._accounting.schema
        if self._schema is None or self._compared_with is not expected or not self._state.is_usable:
            found = await discover(self._replica, self._accounting.cluster, self._key)
            if expected is not None and (lacking := _lacking(found, expected)):
                raise FetchError(f"{self._key}: not there or not granted, as on the primary: {lacking}")
            self._schema, self._compared_with = found, expected
        return self._schema


async def _newest(database: Reads, schema: Schema, before: int) -> _Newest:
    """Read them; those of an empty table are 0."""
    ((key, end),) = await database.rows(statements.newest(schema), (before,))
    return _Newest(int(key or 0), int(end or 0))


def _lacking(found: Schema, expected: Schema) -> str:
    tables = (name for name, columns in expected.columns.items() if columns - found.columns[name])
    return ", ".join(sorted(expected.full_name(name) for name in tables))
