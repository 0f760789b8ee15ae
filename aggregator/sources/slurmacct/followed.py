"""What is known of the job table between two fetches, and how a reading changes it. Pure: no I/O, no clock."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.blocks import Blocks
from aggregator.sources.slurmacct.rows import RunRow

# A runaway fix can write an end time of 2106; nothing that ends after tomorrow has ended.
FUTURE_SECONDS = 86_400.0

Submission = tuple[int, int]
"""(id_job, time_submit): unique in every release, and outlives an upgrade that gives the rows other keys."""


class Known(NamedTuple):
    """A row as it was read last, and its fingerprint then."""

    row: RunRow
    fingerprint: int


class Ended(NamedTuple):
    """A run that has ended lately: its key, and the time from which its retention counts."""

    key: int
    counts_from: float


class Seen(NamedTuple):
    """Keys with fingerprints, as they are at a time: of the open rows in `blocks`, and of the rows that ended lately.

    `due` are the blocks whose rows are read again whatever their fingerprints say.
    """

    blocks: Collection[int]
    due: Collection[int]
    open: Mapping[int, int]
    ended: Mapping[int, int]


class Compared(NamedTuple):
    """What has become of the rows that were seen and read.

    rows has the open ones that were read, and all that ended lately. gone are the keys that are open no more, departed
    the runs that they were, and lost those of them that rows does not have.
    """

    rows: dict[int, Known]
    gone: Collection[int]
    departed: Collection[Submission]
    lost: Collection[Submission]


class Reading(NamedTuple):
    """What was read at a time: in_window are the keys that ended after `since`; for the others see Compared."""

    at: float
    since: int
    swept: float | None
    rows: Mapping[int, Known]
    gone: Collection[int]
    in_window: Collection[int]
    departed: Collection[Submission]


@dataclass(frozen=True, slots=True)
class Followed:
    """The rows of open and lately ended runs; opened has the keys of the open ones, at is when they were read."""

    known: Mapping[int, Known] = field(default_factory=dict)
    opened: Blocks = field(default_factory=Blocks)
    ended: Mapping[Submission, Ended] = field(default_factory=dict)
    at: float | None = None

    def changed(self, seen: Seen) -> list[int]:
        """Give the keys of rows that have to be read: new and changed ones, and those that are due."""
        marks = {**seen.open, **seen.ended}
        again = {key for key in seen.open if key % statements.BLOCKS in seen.due} if seen.due else ()
        return [key for key, mark in marks.items() if key in again or not self._is_known(key, mark)]

    def compare(self, seen: Seen, read: Mapping[int, Known]) -> Compared:
        """Tell what has become of the rows that were seen, of which those that have changed were read."""
        unchanged = {key for key, mark in seen.ended.items() if self._is_known(key, mark)}
        rows = {**{key: self.known[key] for key in unchanged}, **read}
        # A row that is not there when it is to be read has gone since it was seen.
        there = {key for key in seen.open if key in read or self._is_known(key, seen.open[key])}
        gone = self.opened.keys_in(seen.blocks) - there
        departed = {submission(self.known[key].row) for key in gone}
        lost = departed.difference(submission(known.row) for known in rows.values()) if departed else departed
        return Compared(rows, gone, departed, lost)

    def after(self, reading: Reading, retention: float) -> "Followed":
        """Give what is known after a reading, with the runs that ended within the retention time in seconds."""
        still_open = {key: known.fingerprint for key, known in reading.rows.items() if not known.row.time_end}
        opened = self.opened.after(still_open, {*reading.gone, *reading.rows} - still_open.keys())
        oldest = reading.at - retention
        ended = {run: entry for run, entry in self._ended(reading, opened).items() if entry.counts_from > oldest}
        kept = {entry.key for entry in ended.values()}
        known = {**self.known, **reading.rows}
        for key in {*reading.gone, *reading.rows, *(entry.key for entry in self.ended.values())} - kept:
            if key not in opened:
                known.pop(key, None)
        return Followed(known, opened, ended, reading.at)

    def _is_known(self, key: int, fingerprint: int) -> bool:
        known = self.known.get(key)
        return known is not None and known.fingerprint == fingerprint

    def _ended(self, reading: Reading, opened: Blocks) -> dict[Submission, Ended]:
        """Give the runs that have ended, however long ago."""
        ended = dict(self._still_ended(reading, opened))
        for key, (row, _) in reading.rows.items():
            if row.time_end:
                run = submission(row)
                before = ended[run].counts_from if run in ended else 0.0
                ended[run] = Ended(key, max(before, _counts_from(key, reading)))
        return ended

    def _still_ended(self, reading: Reading, opened: Blocks) -> Iterator[tuple[Submission, Ended]]:
        """Give the ended runs that are known, without those that should have been read again and were not there."""
        for run, (key, counts_from) in self.ended.items():
            is_within = reading.since <= self.known[key].row.time_end < int(reading.at + FUTURE_SECONDS)
            if key not in opened and (key in reading.in_window or not is_within):
                # A clock that was set back: nothing was seen after now.
                yield run, Ended(key, min(counts_from, reading.at))


def submission(row: RunRow) -> Submission:
    """Give the run that a row is of."""
    return row.id_job, row.time_submit


def _counts_from(key: int, reading: Reading) -> float:
    """Tell from when a run's retention counts: its end, or when it was seen to have ended, where that is later."""
    if key not in reading.in_window:
        return reading.at
    row = reading.rows[key].row
    return max(row.time_end, reading.at) if submission(row) in reading.departed else row.time_end
