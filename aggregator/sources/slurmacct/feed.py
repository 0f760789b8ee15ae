"""Follow the job table: which runs are open, which have ended lately; a row is read whole only when it has changed."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from aggregator.sources.mysql import Database, Row
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.rows import RunRow
from aggregator.sources.slurmacct.schema import Schema

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
# Rows appear late and clocks differ: each read of ended runs reaches back this far beyond the last one.
OVERLAP_SECONDS = 120.0
# A runaway fix can write an end time of 2106; nothing that ends after tomorrow has ended.
FUTURE_SECONDS = 86_400.0
# The whole retention time is looked at anew after this part of it: rows of runs never seen may come with old times.
SWEEP_FRACTION = 0.1

# (id_job, time_submit) is unique in every release, and outlives an upgrade that gives the rows other keys.
_Submission = tuple[int, int]


class _Known(NamedTuple):
    """A row as it was read last, and its fingerprint then."""

    row: RunRow
    fingerprint: int


class _Ended(NamedTuple):
    """A run that has ended lately: its key, and the time from which its retention counts."""

    key: int
    counts_from: float


class Reading(NamedTuple):
    """What was read at a time: rows by key, which of them ended after `since`, and the runs that are open no more."""

    at: float
    since: int
    swept: float | None
    rows: Mapping[int, _Known]
    in_window: Collection[int]
    departed: Collection[_Submission]


class RunFeed:
    """Keep the rows of open and lately ended runs current, each run once.

    A run that leaves the open set is looked for until it is found: its end may lie in the past (late messages, a
    runaway fix), its row may have another key (an upgrade) or be gone (purged). So that it is shown as ended all the
    same, its retention counts from when that was seen.
    """

    def __init__(self, database: Database, retention_seconds: float) -> None:
        self.rows = 0
        self._database = database
        self._retention = retention_seconds
        self._known: dict[int, _Known] = {}
        self._open: frozenset[int] = frozenset()
        self._ended: dict[_Submission, _Ended] = {}
        self._last: float | None = None
        self._swept: float | None = None

    async def read(self, schema: Schema, at: float) -> Reading:
        """Read what has changed since the last reading that was taken over; what is known stays as it is.

        Raises FetchError.
        """
        since, sweeps = self._since(at)
        # What a fetch that fails may have missed, the next one sweeps up.
        swept, self._swept = self._swept, None
        open_keys: dict[int, int] = dict(await self._database.rows(statements.open_keys(schema)))
        ended_keys = await self._ended_keys(schema, since, int(at + FUTURE_SECONDS))
        departed = {_submission(self._known[key].row) for key in self._open - open_keys.keys()}
        rows = await self._current(schema, open_keys | ended_keys, departed)
        self.rows = len(open_keys) + len(ended_keys)
        return Reading(at, since, at if sweeps else swept, rows, ended_keys.keys(), departed)

    def take(self, reading: Reading) -> list[RunRow]:
        """Take a reading over; give the row of each run that is open or has ended within the retention time."""
        self._open = frozenset(key for key, known in reading.rows.items() if not known.row.time_end)
        ended = dict(self._still_ended(reading))
        for key in reading.rows.keys() - self._open:
            submission = _submission(reading.rows[key].row)
            before = ended[submission].counts_from if submission in ended else 0.0
            ended[submission] = _Ended(key, max(before, _counts_from(key, reading)))
        oldest = reading.at - self._retention
        self._ended = {run: entry for run, entry in ended.items() if entry.counts_from > oldest}
        known = {**self._known, **reading.rows}
        current = (*self._open, *(entry.key for entry in self._ended.values()))
        self._known = {key: known[key] for key in current}
        self._last, self._swept = reading.at, reading.swept
        return [entry.row for entry in self._known.values()]

    def _since(self, at: float) -> tuple[int, bool]:
        """Tell from when on to read ended runs, and whether that is all of the retention time.

        It is at the first fetch, after a failure, after a clock was set back, and from time to time.
        """
        oldest = at - self._retention
        if self._last is None or self._swept is None or at < self._last:
            return int(oldest), True
        if at >= self._swept + SWEEP_FRACTION * self._retention:
            return int(oldest), True
        return int(max(oldest, self._last - OVERLAP_SECONDS)), False

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

    async def _current(
        self, schema: Schema, seen: Mapping[int, int], departed: Collection[_Submission]
    ) -> dict[int, _Known]:
        """Give the rows that were seen, and those of runs that departed and were seen nowhere."""
        rows = {key: known for key, mark in seen.items() if (known := self._unchanged(key, mark))}
        rows |= await self._read(schema, [*(seen.keys() - rows.keys())])
        lost = set(departed).difference(_submission(known.row) for known in rows.values()) if departed else ()
        return rows | await self._find(schema, lost)

    def _unchanged(self, key: int, fingerprint: int) -> _Known | None:
        known = self._known.get(key)
        return known if known is not None and known.fingerprint == fingerprint else None

    async def _read(self, schema: Schema, keys: Sequence[int]) -> dict[int, _Known]:
        rows: list[Row] = []
        for chunk in _chunks(keys):
            rows += await self._database.rows(statements.runs_of_keys(schema, len(chunk)), chunk)
        return _by_key(rows)

    async def _find(self, schema: Schema, lost: Collection[_Submission]) -> dict[int, _Known]:
        """Find runs by id and submit time, whatever their end and their key are; the log says how many are gone."""
        rows: list[Row] = []
        for chunk in _chunks(sorted(lost)):
            parameters = (*(job_id for job_id, _ in chunk), min(submit for _, submit in chunk))
            rows += await self._database.rows(statements.runs_since(schema, len(chunk)), parameters)
        found = {key: known for key, known in _by_key(rows).items() if _submission(known.row) in lost}
        if len(found) < len(lost):
            _log.info("runs are gone from slurmacct: cluster=%s count=%d", schema.cluster, len(lost) - len(found))
        return found

    def _still_ended(self, reading: Reading) -> Iterator[tuple[_Submission, _Ended]]:
        """Give the ended runs that are known, without those that should have been read again and were not there."""
        for submission, (key, counts_from) in self._ended.items():
            is_within = reading.since <= self._known[key].row.time_end < int(reading.at + FUTURE_SECONDS)
            if key not in self._open and (key in reading.in_window or not is_within):
                # A clock that was set back: nothing was seen after now.
                yield submission, _Ended(key, min(counts_from, reading.at))


def _counts_from(key: int, reading: Reading) -> float:
    """Tell from when a run's retention counts: its end, or when it was seen to have ended, where that is later."""
    if key not in reading.in_window:
        return reading.at
    end = reading.rows[key].row.time_end
    return max(end, reading.at) if _submission(reading.rows[key].row) in reading.departed else end


def _submission(row: RunRow) -> _Submission:
    return row.id_job, row.time_submit


def _by_key(rows: Iterable[Row]) -> dict[int, _Known]:
    return {row[0]: _Known(RunRow(*row[:-1]), row[-1]) for row in rows}


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for begin in range(0, len(values), statements.CHUNK_RUNS):
        yield values[begin : begin + statements.CHUNK_RUNS]
