"""What is one cluster's snapshot, given what its sources know?"""

from collections.abc import Iterable, Mapping

from aggregator.join.efficiency import FairShare, efficiency
from aggregator.join.sums import sum_by_account, sum_by_user
from aggregator.join.use import carry_over, use_by_run
from aggregator.model.accounting import Accounting
from aggregator.model.storage import Award
from aggregator.model.use import Use
from aggregator.model.view import NO_USE, ClusterView, Efficiency, Job, JobUse

_NOTHING = Efficiency()


def join_cluster(
    cluster: str,
    at: float,
    accounting: Accounting | None,
    use: Use | None,
    *,
    previous: Mapping[int, JobUse],
    fair_share: FairShare,
    awards: Mapping[str, Award],
) -> ClusterView:
    """Join the runs with their use, newest job first; without accounting there are no jobs to speak of.

    `previous` is the last snapshot's use by run id, kept for runs that have ended since.
    """
    if accounting is None:
        return ClusterView(cluster=cluster, time=at, awards=awards)
    runs = accounting.runs
    joined = use_by_run(runs, use) if use else {}
    uses = carry_over(previous, runs, joined)
    jobs = []
    for run in sorted(runs, key=lambda run: (run.job_id, run.run_id), reverse=True):
        used = uses.get(run.run_id, NO_USE)
        # Half of a busy cluster waits: there is nothing to compute for a run that has not started.
        judged = efficiency(run, used, fair_share, at) if run.start is not None else _NOTHING
        jobs.append(Job(run, used, judged))
    return ClusterView(
        cluster=cluster,
        time=at,
        jobs=tuple(jobs),
        series=owners(jobs),
        users=sum_by_user(jobs),
        accounts=sum_by_account(jobs),
        tree=accounting.accounts,
        awards=awards,
        members=accounting.members,
    )


def owners(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Choose the run that owns each job id: the open one, else the one submitted last."""
    owner: dict[int, Job] = {}
    for job in jobs:
        other = owner.get(job.run.job_id)
        if other is None or _rank(job) > _rank(other):
            owner[job.run.job_id] = job
    return tuple(owner.values())


def _rank(job: Job) -> tuple[bool, float, int]:
    return job.run.is_open, job.run.submit, job.run.run_id
