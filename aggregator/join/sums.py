"""What do the runs of a user, and of an account, add up to?"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from aggregator.model.view import Job, Sums

Key = tuple[str, str]


def sum_by_user(jobs: Iterable[Job]) -> tuple[Sums, ...]:
    """Add up per (account, user): a user's runs under two accounts are two sums."""
    return _sum_by(jobs, lambda job: (job.run.account, job.run.user))


def sum_by_account(jobs: Iterable[Job]) -> tuple[Sums, ...]:
    """Add up per account, its own runs only (children are accounts of their own)."""
    return _sum_by(jobs, lambda job: (job.run.account, ""))


def _sum_by(jobs: Iterable[Job], key: Callable[[Job], Key]) -> tuple[Sums, ...]:
    groups: dict[Key, list[Job]] = defaultdict(list)
    for job in jobs:
        # One that ended in the ledger's last window has its part of that window's power.
        if job.run.is_open or (job.energy and job.energy.watts is not None):
            groups[key(job)].append(job)
    return tuple(_sum(account, user, groups[account, user]) for account, user in sorted(groups))


def _sum(account: str, user: str, jobs: list[Job]) -> Sums:
    running = [job for job in jobs if job.run.holds_resources]
    cpus = sum(job.run.held.cpus for job in running)
    # Where Slurm does not manage memory, nobody holds any.
    memory = _add(job.run.held.memory_bytes for job in running) if running else 0
    gpus, weights = _gpus_by_type(running), _memory_shares(running)
    return Sums(
        account=account,
        user=user,
        jobs=_count_states([job for job in jobs if job.run.is_open]),
        allocated_cpus=cpus,
        allocated_memory_bytes=memory,
        allocated_gpus=gpus,
        used_cpus=_add(job.use.cpus for job in running),
        used_memory_bytes=_add(job.use.memory_bytes for job in running),
        used_gpus=_add(job.use.gpu.used for job in running if job.use.gpu),
        busy_gpus=_add(job.use.gpu.busy for job in running if job.use.gpu),
        memory_peak_bytes=_add(job.use.memory_peak_bytes for job in running),
        wasted_cpus=_add(job.efficiency.wasted_cpus for job in running),
        wasted_memory_bytes=_add(job.efficiency.wasted_memory_bytes for job in running),
        wasted_gpus=_add(job.efficiency.wasted_gpus for job in running),
        wasted_cpu_seconds=_add(job.efficiency.wasted_cpu_seconds for job in running),
        wasted_gpu_seconds=_add(job.efficiency.wasted_gpu_seconds for job in running),
        waste_jobs=Counter((each.reason, each.severity) for job in running for each in job.waste.findings),
        power_watts=_add(job.energy.watts for job in jobs if job.energy),
        coverage={
            "cpu": _weighted(((job.use.cpu_coverage, job.run.held.cpus) for job in running), cpus),
            "memory": _weighted(weights, sum(weight for _, weight in weights)),
            "gpu": _weighted(
                ((job.use.gpu.coverage if job.use.gpu else None, job.run.allocated.gpu_count) for job in running),
                sum(gpus.values()),
            ),
        }
        if running
        else {},
    )


def _count_states(jobs: list[Job]) -> dict[str, int]:
    """Count jobs by state; a not yet split array counts as its tasks."""
    counts: dict[str, int] = defaultdict(int)
    for job in jobs:
        counts[job.run.state.name.lower()] += job.run.pending_tasks or 1
    return dict(counts)


def _gpus_by_type(jobs: list[Job]) -> dict[str, int]:
    gpus: dict[str, int] = defaultdict(int)
    for job in jobs:
        for gpu_type, count in job.run.allocated.gpus.items():
            gpus[gpu_type] += count
    return dict(gpus)


def _add(values: Iterable[float | None]) -> float | None:
    """Add the known values; None when none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _memory_shares(running: Iterable[Job]) -> list[tuple[float | None, float]]:
    """Give each run's coverage of memory with what it holds; runs that hold none weigh alike, beside others nothing."""
    return [(job.use.memory_coverage, job.run.held.memory_bytes or 1.0) for job in running]


def _weighted(shares: Iterable[tuple[float | None, float]], total: float) -> float:
    """Weigh each coverage by what its run holds; an unknown one covers nothing."""
    return sum((share or 0.0) * weight for share, weight in shares) / total if total else 1.0
