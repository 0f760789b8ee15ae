"""What slurmacct knows: runs, accounts, and the state of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from aggregator.model.association import Associations
from aggregator.model.jobid import JobId
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
    where they are not known.
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
        """Write the id as sacct does: `123`, `123_4`, `123_[…]`, `123+1`."""
        if self.array_job_id is not None:
            task = "[…]" if self.array_task_id is None else str(self.array_task_id)
            return f"{self.array_job_id}_{task}"
        if self.het_job_id is not None and self.het_offset is not None:
            return f"{self.het_job_id}+{self.het_offset}"
        return str(self.job_id)

    def elapsed(self, at: float) -> float:
        """Give the seconds that the run has run by the time `at`, suspensions apart."""
        if self.start is None:
            return 0.0
        return max(0.0, min(self.end or at, at) - self.start - self.suspended_seconds)

    def is_meant_by(self, asked: JobId) -> bool:
        """Tell whether somebody who writes this id means this run (an array's id means all its tasks)."""
        if asked.array_task is not None:
            return self.array_job_id == asked.job_id and self.array_task_id == asked.array_task
        if asked.het_offset is not None:
            return self.het_job_id == asked.job_id and self.het_offset == asked.het_offset
        return asked.job_id in (self.job_id, self.array_job_id, self.het_job_id)


_ON_NODES = frozenset({JobState.RUNNING, JobState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a cluster's tree; parent is "" for the root."""

    name: str
    parent: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Accounting:
    """One fetch from slurmacct: the open runs, those ended lately, the live account tree, each user's accounts.

    associations has the tree once more, with shares, limits and coordinators. nodes are all of the cluster's, as
    slurmctld last told slurmdbd; empty where that is not known.
    """

    time: float
    runs: tuple[Run, ...]
    accounts: Mapping[str, Account] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    associations: Associations = field(default_factory=Associations)
    nodes: tuple[str, ...] = ()
