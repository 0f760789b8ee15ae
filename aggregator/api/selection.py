"""Which items make one page of a list; pages are found by sort key, so inserts between two of them do no harm."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.model.jobid import JobId

JobKey = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What a run must be; an empty set asks for nothing. states are Slurm's words in lower case."""

    users: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    partitions: frozenset[str] = frozenset()
    qos: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    arrays: frozenset[int] = frozenset()
    ids: frozenset[JobId] = frozenset()
    reasons: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()

    def matches(self) -> pl.Expr:
        """Tell which rows of RUNS or `jobs` are asked for, whatever they waste."""
        equal = {
            "user": self.users, "account": self.accounts, "state": self.states, "qos": self.qos,
            "job_name": self.names, "array_job_id": self.arrays,
        }  # fmt: skip
        return pl.all_horizontal(
            pl.lit(True),
            *(pl.col(name).is_in(list(wanted)) for name, wanted in equal.items() if wanted),
            # A pending run may name several partitions: it waits in each of them.
            *_any(pl.col("partition").str.split(",").list.contains(name) for name in self.partitions),
            *_any(pl.col("nodes").list.contains(name) for name in self.nodes),
            *_any(map(means, self.ids)),
        )

    def choose(self, frames: Frames, sees: pl.Expr) -> pl.DataFrame:
        """Give the rows of `jobs` that are asked for, of those that may be seen."""
        jobs = frames["jobs"].filter(self.matches() & sees)
        if not (self.reasons or self.severities):
            return jobs
        wanted = {"reason": self.reasons, "severity": self.severities}
        holds = (pl.col(name).cast(pl.String).is_in(list(names)) for name, names in wanted.items() if names)
        return jobs.join(frames["waste"].filter(*holds), on="run_id", how="semi", maintain_order="left")


def means(asked: JobId) -> pl.Expr:
    """Tell which runs somebody means who writes this id (an array's id means all its tasks)."""
    job_id, array, component = asked.job_id, pl.col("array_job_id"), pl.col("het_job_id")
    if asked.array_task is not None:
        return (array == job_id) & (pl.col("array_task_id") == asked.array_task)
    if asked.het_offset is not None:
        return (component == job_id) & (pl.col("het_offset") == asked.het_offset)
    return (pl.col("job_id") == job_id) | (array == job_id) | (component == job_id)


def select_jobs(jobs: pl.DataFrame, after: JobKey | None, limit: int) -> tuple[pl.DataFrame, JobKey | None]:
    """Give one page of jobs, sorted newest first, and the key after which the next begins."""
    rest = jobs if after is None else jobs.filter(_is_older(*after))
    page = rest.head(limit)
    return page, page.select("job_id", "run_id").row(-1) if rest.height > limit else None


def _is_older(job_id: int, run_id: int) -> pl.Expr:
    job, run = _within(job_id, 63, pl.Int64), _within(run_id, 64, pl.UInt64)
    return (pl.col("job_id") < job) | ((pl.col("job_id") == job) & (pl.col("run_id") < run))


def _within(number: int, bits: int, dtype: type[pl.DataType]) -> pl.Expr:
    """Write a number of a cursor, which anybody may have made, as the column has it."""
    return pl.lit(min(max(number, 0), 2**bits - 1), dtype=dtype)


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


def _cut(matching: Iterator[T], limit: int) -> tuple[list[T], bool]:
    """Take one more than the page holds: only that tells whether there is a next page."""
    found = list(islice(matching, limit + 1))
    return found[:limit], len(found) > limit


def _any(conditions: Iterable[pl.Expr]) -> Iterator[pl.Expr]:
    """Give one condition that holds where any of these does; none where there are none."""
    if found := list(conditions):
        yield pl.any_horizontal(found)
