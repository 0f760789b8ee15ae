"""Finished runs on demand: what is searched, and in which order it comes."""

from dataclasses import dataclass

from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId

# (time_end, time_eligible, job_db_inx) as the columns hold them: the order of slurmdbd's own indexes on ends.
RunKey = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which ended runs to read, newest end first: those that ended in [since, until), epoch seconds.

    At most one of these narrows it: uids (None: everybody's), ids, or arrays (ids of whole arrays).
    """

    since: int
    until: int
    uids: frozenset[int] | None = None
    ids: frozenset[JobId] = frozenset()
    arrays: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfName:
    """Which ended runs are of one user and one name: those that ended in [since, until), epoch seconds."""

    uid: int
    name: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """One bounded read: runs in order with their keys, the key to go on after (None: no more), rows examined.

    cut says that a read by id or array was longer than its bound.
    """

    runs: tuple[tuple[RunKey, Run], ...]
    last: RunKey | None
    examined: int
    cut: bool = False


def run_key(run: Run) -> RunKey:
    """Give the key of an ended run; of a run that was not read by time."""
    return int(run.end or 0), int(run.eligible or 0), run.run_id
