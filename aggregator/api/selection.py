"""Which items make one page of a list; pages are found by sort key, so inserts between two of them do no harm."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import polars as pl

from aggregator.model.accounting import JobState, Run
from aggregator.model.jobid import JobId
from aggregator.model.view import Job
from aggregator.model.waste import Finding

JobKey = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What a run must be; an empty set asks for nothing."""

    users: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    states: frozenset[JobState] = frozenset()
    partitions: frozenset[str] = frozenset()
    qos: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    arrays: frozenset[int] = frozenset()
    ids: frozenset[JobId] = frozenset()
    reasons: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()

    def matches(self, job: Job) -> bool:
        """Tell whether the job is asked for."""
        return self.matches_run(job.run) and (
            not (self.reasons or self.severities) or any(map(self._matches_finding, job.waste.findings))
        )

    def _matches_finding(self, finding: Finding) -> bool:
        return (not self.reasons or finding.reason in self.reasons) and (
            not self.severities or finding.severity in self.severities
        )

    def matches_run(self, run: Run) -> bool:
        """Tell whether the run is asked for, whatever it wastes."""
        return self._matches_owner(run) and self._matches_place(run) and self._matches_job(run)

    def _matches_owner(self, run: Run) -> bool:
        return (not self.users or run.user in self.users) and (not self.accounts or run.account in self.accounts)

    def _matches_place(self, run: Run) -> bool:
        return (
            # A pending run may name several partitions: it waits in each of them.
            (not self.partitions or not self.partitions.isdisjoint(run.partition.split(",")))
            and (not self.qos or run.qos in self.qos)
            and (not self.nodes or not self.nodes.isdisjoint(run.nodes))
        )

    def _matches_job(self, run: Run) -> bool:
        return (
            (not self.states or run.state in self.states)
            and (not self.names or run.name in self.names)
            and (not self.arrays or run.array_job_id in self.arrays)
            and (not self.ids or any(map(run.is_meant_by, self.ids)))
        )


def select_jobs(
    jobs: Sequence[Job], sees: Callable[[Run], bool], wanted: JobFilter, after: JobKey | None, limit: int
) -> tuple[list[Job], JobKey | None]:
    """Give one page of the jobs, sorted newest first, that may be seen, and the key after which the next begins."""
    start = 0 if after is None else bisect_right(jobs, (-after[0], -after[1]), key=_descending)
    matching = (job for job in islice(jobs, start, None) if wanted.matches(job) and sees(job.run))
    page, more = _cut(matching, limit)
    return page, (page[-1].run.job_id, page[-1].run.run_id) if more else None


def select_rows(
    frame: pl.DataFrame, keys: Sequence[str], after: tuple[str, ...] | None, limit: int
) -> tuple[pl.DataFrame, tuple[str, ...] | None]:
    """Give one page of a frame, which is sorted by these columns, and their values after which the next begins."""
    rest = frame if after is None else frame.filter(_is_after(keys, after))
    page = rest.head(limit)
    return page, tuple(page.select(keys).row(-1)) if rest.height > limit else None


def _is_after(keys: Sequence[str], after: tuple[str, ...]) -> pl.Expr:
    first, last = pl.col(keys[0]), after[0]
    if len(keys) == 1:
        return first > last
    return (first > last) | ((first == last) & _is_after(keys[1:], after[1:]))


def select_sums(
    sums: Sequence[T], key: Callable[[T], tuple[str, str]], after: tuple[str, ...] | None, limit: int
) -> tuple[list[T], tuple[str, str] | None]:
    """Give one page of sums, which are sorted by their key, and the key after which the next begins."""
    start = 0 if after is None else bisect_right(sums, after, key=key)
    page, more = _cut(islice(sums, start, None), limit)
    return page, key(page[-1]) if more else None


def _descending(job: Job) -> tuple[int, int]:
    return -job.run.job_id, -job.run.run_id


def _cut(matching: Iterator[T], limit: int) -> tuple[list[T], bool]:
    """Take one more than the page holds: only that tells whether there is a next page."""
    found = list(islice(matching, limit + 1))
    return found[:limit], len(found) > limit
