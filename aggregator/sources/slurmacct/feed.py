"""Follow the job table: which runs are open, which have ended lately; a row is read whole only when it has changed."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from aggregator.executors import REFRESH, run
from aggregator.sources.mysql import Database, Row
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.followed import FUTURE_SECONDS, Followed, Known, Reading, Seen, Submission, submission
from aggregator.sources.slurmacct.rows import sharing, unpack
from aggregator.sources.slurmacct.schema import Schema

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
# Rows appear late and clocks differ: each read of ended runs reaches back this far beyond the last one.
OVERLAP_SECONDS = 120.0
# The whole retention time is looked at anew after this part of it: rows of runs never seen may come with old times.
SWEEP_FRACTION = 0.1
# Within this time each open row is read whole again, some blocks at each fetch, whatever the fingerprints say.
OPEN_SWEEP_SECONDS = 3600.0


class RunFeed:
    """Keep the rows of open and lately ended runs current, each run once.

    A run that leaves the open set is looked for until it is found: its end may lie in the past (late messages, a
    runaway fix), its row may have another key (an upgrade) or be gone (purged). So that it is shown as ended all the
    same, its retention counts from when that was seen.
    """

    def __init__(self, database: Database, retention_seconds: float) -> None:
        self.followed = Followed()
        self.rows = 0
        self._database = database
        self._retention = retention_seconds
        self._swept: float | None = None

    async def read(self, schema: Schema, at: float) -> Reading:
        """Read what has changed since the last reading that was taken over; what is known stays as it is.

        Raises FetchError.
        """
        since, sweeps = self._since(at)
        # What a fetch that fails may have missed, the next one sweeps up.
        swept, self._swept = self._swept, None
        seen = await self._seen(schema, at, since)
        read = await self._read(schema, await run(REFRESH, self.followed.changed, seen))
        found = await run(REFRESH, self.followed.compare, seen, read)
        found.rows.update(await self._find(schema, found.lost))
        return Reading(
            at=at,
            since=since,
            swept=at if sweeps else swept,
            rows=found.rows,
            gone=found.gone,
            in_window=seen.ended.keys(),
            departed=found.departed,
        )

    def after(self, reading: Reading) -> Followed:
        """Give what is known with a reading."""
        return self.followed.after(reading, self._retention)

    def take(self, reading: Reading, after: Followed) -> None:
        """Take a reading over, and what is known with it."""
        self.followed, self._swept = after, reading.swept
        self.rows = len(after.opened) + len(reading.in_window)

    def _since(self, at: float) -> tuple[int, bool]:
        """Tell from when on to read ended runs, and whether that is all of the retention time.

        It is at the first fetch, after a failure, after a clock was set back, and from time to time.
        """
        oldest, last = at - self._retention, self.followed.at
        if last is None or self._swept is None or at < last:
            return int(oldest), True
        if at >= self._swept + SWEEP_FRACTION * self._retention:
            return int(oldest), True
        return int(max(oldest, last - OVERLAP_SECONDS)), False

    async def _seen(self, schema: Schema, at: float, since: int) -> Seen:
        """Read keys and fingerprints: of the open rows in blocks that differ, and of the rows that ended."""
        due = self._due(at)
        blocks: Collection[int] = range(statements.BLOCKS)
        if self.followed.opened:
            rows = await self._database.rows(statements.open_blocks(schema))
            digests = {block: (count, fingerprints) for block, count, fingerprints in rows}
            blocks = self.followed.opened.differing(digests) | due
        opened = await self._open_keys(schema, blocks) if blocks else {}
        return Seen(blocks, due, opened, await self._ended_keys(schema, since, int(at + FUTURE_SECONDS)))

    def _due(self, at: float) -> set[int]:
        """Choose the blocks to sweep: those whose turn has come since the last fetch."""
        first, end = (int(time * statements.BLOCKS / OPEN_SWEEP_SECONDS) for time in (self.followed.at or at, at))
        return {turn % statements.BLOCKS for turn in range(max(first, end - statements.BLOCKS), end)}

    async def _open_keys(self, schema: Schema, blocks: Collection[int]) -> dict[int, int]:
        """Read the fingerprints of the open rows in some blocks, by key."""
        if len(blocks) <= statements.MAX_BLOCKS:
            rows = await self._database.rows(statements.open_keys(schema, len(blocks)), sorted(blocks))
        else:
            rows = await self._database.rows(statements.open_keys(schema))
        return await run(REFRESH, _fingerprints, rows)

    async def _ended_keys(self, schema: Schema, since: int, before: int) -> dict[int, int]:
        """Read the fingerprints of the runs that ended in a time, by key."""
        sql, keys = statements.ended_keys(schema), dict[int, int]()
        parameters = statements.after(since, 0, 0, before)
        while True:
            chunk = await self._database.rows(sql, parameters)
            keys.update((row[0], row[1]) for row in chunk)
            if len(chunk) < statements.CHUNK_KEYS:
                return keys
            key, _, time_end, time_eligible = chunk[-1]
            parameters = statements.after(time_end, time_eligible, key, before)

    async def _read(self, schema: Schema, keys: Sequence[int]) -> dict[int, Known]:
        rows: dict[int, Known] = {}
        known = self.followed.known
        for chunk in _chunks(keys):
            read = _by_key(await self._database.rows(statements.runs_of_keys(schema, len(chunk)), chunk))
            # A sweep finds most as it is known, and all of it within an hour: what is kept goes on sharing.
            rows |= {key: known[key] if known.get(key) == row else row for key, row in read.items()}
        return rows

    async def _find(self, schema: Schema, lost: Collection[Submission]) -> dict[int, Known]:
        """Find runs by id and submit time, whatever their end and their key are; the log says how many are gone."""
        found: dict[int, Known] = {}
        for chunk in _chunks(sorted(lost)):
            parameters = (*(job_id for job_id, _ in chunk), min(submit for _, submit in chunk))
            rows = _by_key(await self._database.rows(statements.runs_since(schema, len(chunk)), parameters))
            found |= {key: known for key, known in rows.items() if submission(known.row) in lost}
        if len(found) < len(lost):
            _log.info("runs are gone from slurmacct: cluster=%s count=%d", schema.cluster, len(lost) - len(found))
        return found


def _fingerprints(rows: list[Row]) -> dict[int, int]:
    """Give fingerprints by key, and free the rows here, which takes the loop's time elsewhere."""
    found: dict[int, int] = dict(rows)
    rows.clear()
    return found


def _by_key(rows: Sequence[Row]) -> dict[int, Known]:
    found = sharing(unpack(*columns) for *columns, _ in rows)
    return {row.job_db_inx: Known(row, fingerprint) for row, (*_, fingerprint) in zip(found, rows, strict=True)}


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for begin in range(0, len(values), statements.CHUNK_RUNS):
        yield values[begin : begin + statements.CHUNK_RUNS]
