"""A run of the job table, and its state."""

from dataclasses import dataclass
from enum import IntEnum

from aggregator.model.jobid import JobId, display_id
from aggregator.model.tres import NOTHING, Allocation


class JobState(IntEnum):
    """The states that the job table stores, by Slurm's numbers (the last three are written whole)."""

    PENDING = 0
    RUNNING = 1
    SUSPENDED = 2
    COMPLETED = 3
    CANCELLED = 4
    FAILED = 5
    TIMEOUT = 6
    NODE_FAIL = 7
    PREEMPTED = 8
    BOOT_FAIL = 9
    DEADLINE = 10
    OUT_OF_MEMORY = 11
    REQUEUED = 1024
    RESIZING = 8192
    REVOKED = 524288


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of the job table: one run of a job id (requeues and resizes make several).

    Times are epoch seconds, None where the event has not happened. run_id is job_db_inx, which needs 64 unsigned
    bits. pending_tasks counts the array tasks that a not yet split row stands for. association_id and uid are None
    where they are not known. suspended_since is set while the run is suspended: the time at which all its suspensions
    put together would have begun. job_start is set for a row that a resize has made: the job, its processes and their
    counters began then, before `start`.
    """

    cluster: str
    run_id: int
    job_id: int
    user: str
    account: str
    state: JobState
    submit: float
    partition: str = ""
    qos: str = ""
    name: str = ""
    array_job_id: int | None = None
    array_task_id: int | None = None
    pending_tasks: int = 0
    het_job_id: int | None = None
    het_offset: int | None = None
    eligible: float | None = None
    start: float | None = None
    end: float | None = None
    suspended_seconds: float = 0.0
    suspended_since: float | None = None
    job_start: float | None = None
    time_limit_seconds: float | None = None
    allocated: Allocation = NOTHING
    requested: Allocation = NOTHING
    nodes: tuple[str, ...] = ()
    association_id: int | None = None
    uid: int | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the run has not ended."""
        return self.end is None

    @property
    def holds_resources(self) -> bool:
        """Tell whether the run is on its nodes now: started, not ended."""
        return self.end is None and self.start is not None and self.state in _ON_NODES

    @property
    def display_id(self) -> str:
        """Write the id as sacct does."""
        return display_id(self.job_id, self.array_job_id, self.array_task_id, self.het_job_id, self.het_offset)

    def elapsed(self, at: float) -> float:
        """Give the seconds that the run has run by the time `at`, suspensions apart."""
        if self.start is None:
            return 0.0
        until = min(self.end or at, at)
        if self.suspended_since is not None:
            return max(0.0, min(until, self.suspended_since) - self.start)
        return max(0.0, until - self.start - self.suspended_seconds)

    def limited_seconds(self, at: float) -> float:
        """Give the seconds that count against the time limit, which is the job's, by the time `at`."""
        before = self.start - self.job_start if self.start is not None and self.job_start is not None else 0.0
        return self.elapsed(at) + before

    def span(self, now: float) -> tuple[float, float] | None:
        """Give when the run was on its nodes, as far as that has been; None for one that has not started.

        slurmacct has ends before starts, and starts after our own clock: such a run has an empty span.
        """
        if self.start is None:
            return None
        begin = min(self.start, now)
        return begin, max(begin, min(self.end or now, now))

    def is_meant_by(self, asked: JobId) -> bool:
        """Tell whether somebody who writes this id means this run (an array's id means all its tasks)."""
        if asked.array_task is not None:
            return self.array_job_id == asked.job_id and self.array_task_id == asked.array_task
        if asked.het_offset is not None:
            return self.het_job_id == asked.job_id and self.het_offset == asked.het_offset
        return asked.job_id in (self.job_id, self.array_job_id, self.het_job_id)


_ON_NODES = frozenset({JobState.RUNNING, JobState.SUSPENDED})
