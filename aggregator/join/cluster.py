"""What is one cluster's snapshot, given what its sources know?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from aggregator.join.agreement import compare_gpus
from aggregator.join.efficiency import FairShare, efficiency
from aggregator.join.energy import LedgerView
from aggregator.join.facts import Observed
from aggregator.join.limits import join_limits
from aggregator.join.nodes import join_nodes
from aggregator.join.sums import sum_by_account, sum_by_user
from aggregator.join.use import carry_over, use_by_run
from aggregator.join.waste import Judge
from aggregator.model.accounting import Accounting, Run
from aggregator.model.lustre import LustreView
from aggregator.model.node import Hosts, Kind, Scheduler
from aggregator.model.nodename import NodeRule
from aggregator.model.storage import Award
from aggregator.model.usage import UsageView
from aggregator.model.use import Base, Use
from aggregator.model.view import NO_USE, ClusterView, Efficiency, Job, JobEnergy, JobUse

_NOTHING = Efficiency()
_NO_RULES = Judge()
_RULE = NodeRule()


def join_cluster(
    cluster: str,
    at: float,
    accounting: Accounting | None,
    use: Use | None,
    *,
    previous: Mapping[int, JobUse],
    bases: Mapping[int, Base] = MappingProxyType({}),
    fair_share: FairShare,
    awards: Mapping[str, Award],
    ledger: LedgerView | None = None,
    judge: Judge = _NO_RULES,
    usage: UsageView | None = None,
    levels: Mapping[str, float] | None = None,
    lustre: LustreView | None = None,
    scheduler: Scheduler | None = None,
    hosts: Hosts | None = None,
    kinds: Mapping[str, Kind] | None = None,
    names: NodeRule = _RULE,
) -> ClusterView:
    """Join the runs with their use, newest job first; without accounting there are no jobs to speak of.

    `previous` is the last snapshot's use by run id, kept for runs that have ended since. `levels` are the accounts'
    fair shares as slurmctld says them (level_fs), `kinds` the hosts that are no compute nodes. `bases` are what the
    counters of resized jobs showed when their runs began, by run id. `names` is the rule for the names of nodes, by
    which all that is given is named already.
    """
    bare = ClusterView(cluster=cluster, time=at, awards=awards, usage=usage, scheduler=scheduler, names=names)
    if accounting is None:
        return _with_ledger(bare, ledger)
    runs = accounting.runs
    uses = carry_over(previous, runs, use_by_run(runs, use, bases) if use else {})
    jobs = _jobs(runs, uses, ledger, Observed(at, fair_share, use), judge, lustre)
    gpus = compare_gpus(runs, use)
    view = replace(
        bare,
        jobs=jobs,
        series=owners(jobs),
        users=sum_by_user(jobs),
        accounts=sum_by_account(jobs),
        tree=accounting.accounts,
        rules=judge.rules,
        members=accounting.members,
        limits=join_limits(accounting.associations, runs, at, usage.raw if usage else None, levels or {}),
        lustre=lustre,
        hosts=join_nodes(runs, use, scheduler, hosts, listed=accounting.nodes, kinds=kinds),
        warnings=(*accounting.missing, *filter(None, [gpus.warning])),
        gpus_agree=gpus.agrees,
    )
    return _with_ledger(view, ledger)


def _jobs(
    runs: Sequence[Run],
    uses: Mapping[int, JobUse],
    ledger: LedgerView | None,
    observed: Observed,
    judge: Judge,
    lustre: LustreView | None,
) -> tuple[Job, ...]:
    """Join each run with its use, the newest job first."""
    newest = sorted(runs, key=lambda run: (run.job_id, run.run_id), reverse=True)
    return tuple(_job(run, uses.get(run.run_id, NO_USE), ledger, observed, judge, lustre) for run in newest)


def _with_ledger(view: ClusterView, ledger: LedgerView | None) -> ClusterView:
    """Add the ledger's totals, which do not need slurmacct to be there."""
    if ledger is None:
        return view
    return replace(
        view,
        ledger_end=ledger.ledger.window_end,
        prices=ledger.prices,
        energy_users=ledger.users(),
        energy_accounts=ledger.accounts(),
        nodes=ledger.nodes(),
    )


def _job(
    run: Run, use: JobUse, ledger: LedgerView | None, observed: Observed, judge: Judge, lustre: LustreView | None
) -> Job:
    """Join one run with what it uses, what the ledger has of it, and what it wastes."""
    totals = ledger.ledger.runs.get(run.run_id) if ledger else None
    efficient = _NOTHING
    if run.start is not None:
        # Half of a busy cluster waits: there is nothing to compute for a run that has not started.
        efficient = efficiency(run, use, observed.fair_share, observed.at, ledger=totals)
    judged = judge.judge(Job(run, use, efficient, totals), observed)
    energy = ledger.energy_of(run) if ledger else None
    return Job(run, use, efficient, totals, energy, judged, lustre.jobs.get(run.run_id) if lustre else None)


def owners(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Choose the run that owns each job id: the open one, else the one submitted last.

    Its power is that of all its user's runs of the id: one that was requeued in the last window has no series.
    """
    runs: dict[int, list[Job]] = {}
    for job in jobs:
        runs.setdefault(job.run.job_id, []).append(job)
    return tuple(_with_power_of(max(of_id, key=_rank), of_id) for of_id in runs.values())


def _with_power_of(owner: Job, runs: Sequence[Job]) -> Job:
    whose = (owner.run.user, owner.run.account)
    same = [job for job in runs if job is not owner and (job.run.user, job.run.account) == whose]
    others = [job.energy for job in same if job.energy and job.energy.watts is not None]
    if not others:
        return owner
    energy = owner.energy or JobEnergy(others[0].model)
    every = (energy, *others)
    node = [each.node_watts for each in every if each.node_watts is not None]
    gpu = [each.gpu_watts for each in every if each.gpu_watts is not None]
    return replace(
        owner,
        energy=replace(energy, node_watts=sum(node) if node else None, gpu_watts=sum(gpu) if gpu else None),
    )


def _rank(job: Job) -> tuple[bool, float, int]:
    return job.run.is_open, job.run.submit, job.run.run_id
