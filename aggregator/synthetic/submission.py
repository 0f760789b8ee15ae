"""What a user submits: a job, an array, or a heterogeneous job, as the pending rows it makes."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Association
from aggregator.model.tres import Allocation
from aggregator.synthetic.limits import Limiter
from aggregator.synthetic.population import User
from aggregator.synthetic.profiles import Profile, Shape

GIBIBYTE = 2**30
BILLING_PER_GPU = 12
# Beyond 32 bits, as job_db_inx is on clusters that have run for long.
_FIRST_RUN_ID = 7_000_000_000
_FIRST_JOB_ID = 4_100_000
# More than a cluster of the usual size uses in an hour: one that begins later has other ids. Larger ones use more, and
# begin anew sooner. Slurm's job ids end at 67 millions.
_IDS_PER_HOUR = 1500
_JOB_IDS = 60_000_000
_FIRST_HOUR = 470_000
# A user at a limit of what may wait does not submit: others are asked.
_ASKED = 6


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission that waits: its rows, one for each component; next_task is the array's next index."""

    profile: Profile
    gpu_type: str
    runs: tuple[Run, ...]
    next_task: int = 0

    @property
    def tasks(self) -> int:
        """Count the tasks of a not yet split array; 0 for everything else."""
        return self.runs[0].pending_tasks

    def made_eligible(self, at: float) -> "Submission":
        """Give the submission after its hold or dependency has ended."""
        return replace(self, runs=tuple(replace(run, eligible=at) for run in self.runs))


class Submitter:
    """Writes submissions for the profiles' users; owns the counters of job and run ids."""

    def __init__(
        self,
        rng: Random,
        cluster: str,
        users: tuple[User, ...],
        gpu_types: list[str],
        associations: Iterable[Association],
        limiter: Limiter,
        since: float,
        size: float = 1.0,
    ) -> None:
        self._rng = rng
        self._cluster = cluster
        self._users = users
        self._gpu_types = gpu_types
        self._associations = {(row.account, row.user): row.id for row in associations if row.user}
        self._limiter = limiter
        self._by_profile: dict[str, list[User]] = {}
        self._size = size
        used = int((since / 3600 - _FIRST_HOUR) * size) * int(_IDS_PER_HOUR * size)
        self._job_ids = itertools.count(_FIRST_JOB_ID + used % _JOB_IDS)
        self._run_ids = itertools.count(_FIRST_RUN_ID + used)

    def submit(self, profile: Profile, at: float, waits: bool) -> Submission | None:
        """Write one submission of the profile, None where all who are asked are at their limits.

        One that waits is held or depends on another job.
        """
        gpu_type = self._rng.choice(self._gpu_types) if profile.uses_gpus else ""
        tasks = self._rng.randint(*profile.tasks) if profile.tasks else 0
        for _ in range(_ASKED):
            row = self._row(profile, at, waits)
            if self._limiter.may_submit(row, tasks or len(profile.components)):
                return Submission(profile, gpu_type, self._rows(row, profile, gpu_type, tasks))
        return None

    def _row(self, profile: Profile, at: float, waits: bool) -> Run:
        """Draw whose job it is, and what it is called."""
        user = self._rng.choice(self._users_of(profile))
        account = self._account(user, profile)
        return Run(
            cluster=self._cluster,
            run_id=0,
            job_id=0,
            user=user.name,
            account=account,
            state=JobState.PENDING,
            submit=at,
            partition=profile.partition,
            qos=profile.qos,
            name=self._rng.choice(profile.names).replace("#", str(self._rng.randrange(1, 100))),
            eligible=None if waits else at,
            time_limit_seconds=profile.limit_hours * 3600,
            association_id=self._associations[account, user.name],
            uid=user.uid,
        )

    def split(self, submission: Submission) -> tuple[Submission, Submission | None]:
        """Split one task from an array: the task and what is left; the last task keeps the array's row and id."""
        array = submission.runs[0]
        changes: dict[str, Any] = {"array_task_id": submission.next_task, "pending_tasks": 0}
        if submission.tasks == 1:
            return replace(submission, runs=(replace(array, **changes),)), None
        task = replace(array, run_id=next(self._run_ids), job_id=next(self._job_ids), **changes)
        left = replace(array, pending_tasks=array.pending_tasks - 1)
        return (
            replace(submission, runs=(task,)),
            replace(submission, runs=(left,), next_task=submission.next_task + 1),
        )

    def requeue(self, profile: Profile, gpu_type: str, run: Run, at: float) -> Submission:
        """Write the pending row of the next run of a requeued job."""
        again = replace(
            run, run_id=next(self._run_ids), state=JobState.PENDING, submit=at, eligible=at, start=None, nodes=(),
            allocated=Allocation(),
        )  # fmt: skip
        return Submission(profile, gpu_type, (again,))

    def _rows(self, row: Run, profile: Profile, gpu_type: str, tasks: int) -> tuple[Run, ...]:
        """Give them their ids: job ids of an array's or a heterogeneous job's parts follow its own."""
        job_id = next(self._job_ids)
        if len(profile.components) == 1:
            of_array: dict[str, Any] = {"array_job_id": job_id, "pending_tasks": tasks} if tasks else {}
            requested = allocation(profile.components[0], gpu_type)
            return (replace(row, run_id=next(self._run_ids), job_id=job_id, requested=requested, **of_array),)
        return tuple(
            replace(
                row, run_id=next(self._run_ids), job_id=next(self._job_ids) if offset else job_id, het_job_id=job_id,
                het_offset=offset, requested=allocation(shape, gpu_type),
            )
            for offset, shape in enumerate(profile.components)
        )  # fmt: skip

    def _users_of(self, profile: Profile) -> list[User]:
        users = self._by_profile.get(profile.name)
        if users is None:
            count = min(round(profile.users * self._size) or len(self._users), len(self._users))
            users = self._by_profile[profile.name] = self._rng.sample(self._users, count)
        return users

    def _account(self, user: User, profile: Profile) -> str:
        unfit = "_cpu" if profile.uses_gpus else "_gpu"
        return self._rng.choice([account for account in user.accounts if not account.endswith(unfit)])


def allocation(shape: Shape, gpu_type: str) -> Allocation:
    """Add up a shape over its nodes."""
    gpus = {gpu_type: shape.gpus * shape.nodes} if shape.gpus else {}
    cpus = shape.cpus * shape.nodes
    billing = cpus + BILLING_PER_GPU * sum(gpus.values())
    return Allocation(cpus, shape.memory_gib * GIBIBYTE * shape.nodes, shape.nodes, gpus, billing)
