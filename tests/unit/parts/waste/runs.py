"""Random runs with what is known of them, as objects of the join and as rows of the frame `jobs`."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import polars as pl

from aggregator.join.efficiency import efficiency
from aggregator.join.facts import Observed
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import RunLedger
from aggregator.model.use import Use
from aggregator.model.view import NO_USE, Efficiency, GpuUse, Job, JobUse
from aggregator.parts.waste.observation import Observation
from tests.builders import FAIR_SHARE, GIB, HOSTILE_NAMES, NOW, make_allocation, make_run, make_use

from .scene import INPUTS, with_computed

NODES = tuple(f"node{number:02}" for number in range(6))
NAMES = ("", "train.sh", "bench-1", *HOSTILE_NAMES)


@dataclass(frozen=True)
class Seen:
    """One run, and what is known of it."""

    run: Run
    use: JobUse = NO_USE
    ledger: RunLedger | None = None

    @property
    def elapsed(self) -> float:
        return self.run.elapsed(NOW)

    def job(self) -> Job:
        """Give what the join of objects makes of it."""
        known = Efficiency()
        if self.run.start is not None:
            known = efficiency(self.run, self.use, FAIR_SHARE, NOW, ledger=self.ledger)
        return Job(self.run, self.use, known, self.ledger)

    def row(self) -> dict[str, Any]:
        """Give its row of the frame `jobs`, without the columns that are computed from others."""
        run, use, gpu, ledger = self.run, self.use, self.use.gpu, self.ledger
        return {
            "run_id": run.run_id, "job_id": run.job_id, "user": run.user, "account": run.account,
            "partition": run.partition, "qos": run.qos, "state": run.state.name.lower(), "job_name": run.name,
            "nodes": run.nodes, "start_timestamp_seconds": run.start, "end_timestamp_seconds": run.end,
            "job_start": run.job_start, "time_limit_seconds": run.time_limit_seconds,
            "elapsed_seconds": self.elapsed, "suspended_seconds": run.suspended_seconds,
            "granted_cpus": run.allocated.cpus, "granted_memory_bytes": run.allocated.memory_bytes,
            "granted_nodes": run.allocated.nodes, "granted_gpus": run.allocated.gpu_count, "used_cpus": use.cpus,
            "allocated_cpus": run.held.cpus if run.start is not None and run.allocated.cpus else None,
            "is_owner": True,
            "cpu_seconds": use.cpu_seconds, "memory_used_bytes": use.memory_bytes,
            "memory_peak_bytes": use.memory_peak_bytes, "running_threads": use.threads,
            "observed_seconds": use.observed_seconds, "cpu_coverage_ratio": use.cpu_coverage,
            "memory_coverage_ratio": use.memory_coverage,
            **({} if gpu is None else {
                "gpu_coverage_ratio": gpu.coverage, "gpus_observed": gpu.observed, "gpus_busy": gpu.busy,
                "gpus_judged": gpu.judged, "gpu_utilization_ratio": gpu.utilization,
                "gpu_memory_used_bytes": gpu.memory_bytes,
            }),
            **({} if ledger is None else {
                "ledger_since_seconds": ledger.since, "ledger_until_seconds": ledger.until,
                "ledger_gpu_seconds": ledger.gpu_seconds, "ledger_gpu_used_seconds": ledger.gpu_used_seconds,
                "gpu_idle_seconds": ledger.gpu_idle_seconds, "gpu_partly_idle_seconds": ledger.gpu_partly_idle_seconds,
                "gpu_unseen_seconds": ledger.gpu_unseen_seconds,
                "gpu_partly_unseen_seconds": ledger.gpu_partly_unseen_seconds,
            }),
        }  # fmt: skip


def jobs_frame(seen: Iterable[Seen]) -> pl.DataFrame:
    """Give the frame `jobs` of these runs."""
    return with_computed(pl.DataFrame([each.row() for each in seen], schema=INPUTS, strict=False))


def random_runs(random: Random, count: int) -> list[Seen]:
    """Draw runs whose values lie at the bounds of the shipped rules more often than elsewhere."""
    return [_seen(random, number) for number in range(count)]


def _seen(random: Random, number: int) -> Seen:
    run = _run(random, number)
    if run.start is None:
        return Seen(run)
    return Seen(run, _use(random, run), _ledger(random, run) if random.random() < 0.85 else None)


def _run(random: Random, number: int) -> Run:
    state = random.choice([JobState.RUNNING] * 8 + [JobState.PENDING, JobState.SUSPENDED, JobState.COMPLETED,
                                                     JobState.RESIZING])  # fmt: skip
    elapsed = random.choice([0.0, 1799.0, 1800.0, 3600.0, 7200.0, 86_400.0, random.uniform(-60, 1e5)])
    changes: dict[str, Any] = {"start": None if state is JobState.PENDING else NOW - elapsed}
    if state is JobState.COMPLETED:
        changes["end"] = NOW - random.uniform(0, 900)
    if random.random() < 0.15:
        changes["suspended_seconds"] = random.uniform(0, elapsed / 2 if elapsed > 0 else 0)
    if state is JobState.SUSPENDED:
        changes["suspended_since"] = NOW - elapsed * random.random()
    if random.random() < 0.2 and state is not JobState.PENDING:
        changes["job_start"] = NOW - elapsed - random.uniform(0, 1e4)
    return make_run(
        run_id=number + 1, job_id=number + 1, state=state, name=random.choice(NAMES), user=random.choice("abc"),
        account=random.choice("abc"), partition=random.choice("abc"), qos=random.choice("abc"),
        time_limit_seconds=random.choice([None, 0.0, 7200.0]), nodes=tuple(random.sample(NODES, random.randint(0, 5))),
        allocated=make_allocation(
            cpus=random.choice([0, 1, 2, 3, 4, 8, 13, 14, 15, 64]), nodes=random.randint(0, 5),
            memory_bytes=random.choice([None, 0, GIB, 8 * GIB, 36 * GIB, 140 * GIB, 142 * GIB, 2**50 + 1]),
            gpus=random.choice([{}, {}, {"a100": 1}, {"a100": 2}, {"a100": 3, "": 1}]),
        ), **changes,
    )  # fmt: skip


RATIOS = (0.0, 0.05, 0.1, 0.15, 0.25, 0.4999, 0.5, 0.75, 0.79, 0.8, 1.0, 1.005, 9.0, 10.0, 11.0)


def _share(random: Random, most: float = 1.0) -> float:
    return min(most, random.choice([*RATIOS, random.random()]))


def _use(random: Random, run: Run) -> JobUse:
    held, elapsed = run.allocated, run.elapsed(NOW)
    cpu_seconds = random.choice([None, 1.0, 1.05]) if random.random() < 0.3 else held.cpus * _share(random, 11.0)
    peak = None if random.random() < 0.2 else _share(random, 11.0) * (held.memory_bytes or GIB)
    cpus = None if random.random() < 0.2 else held.cpus * _share(random, 11.0)
    known = cpu_seconds is not None or peak is not None
    return JobUse(
        cpus=cpus, cpu_seconds=None if cpu_seconds is None else cpu_seconds * elapsed, memory_peak_bytes=peak,
        observed_seconds=elapsed * random.choice([0.0, 0.4999, 0.5, 0.9, 1.0, 1.0, 1.0, 2.0]) if known else None,
        cpu_coverage=None if cpus is None else _share(random), gpu=_gpu(random, held.gpu_count),
    )  # fmt: skip


def _gpu(random: Random, allocated: int) -> GpuUse | None:
    if not allocated or random.random() < 0.1:
        return None
    if random.random() < 0.1:
        return GpuUse(coverage=0.0)
    judged = allocated * random.choice([0.0, 0.5, 0.79, 0.8, 1.0, 1.0, 1.0])
    utilization = None if not judged and random.random() < 0.5 else _share(random, 1.005)
    busy = random.choice([0, 0, allocated, allocated + 1, random.randint(0, allocated)]) if judged else None
    return GpuUse(judged / allocated, random.randint(0, allocated + 1), busy, judged, utilization)


def _ledger(random: Random, run: Run) -> RunLedger:
    elapsed = run.elapsed(NOW)
    since = NOW - elapsed * random.choice([0.0, 0.25, 0.5, 1.0, 1.0, 1.0])
    until = random.choice([NOW, NOW, max(since, NOW - 60.0)])
    seconds = (
        run.allocated.gpu_count * random.choice([elapsed, until - since]) * random.choice([1.0, _share(random, 1.005)])
    )
    idle = [random.choice([0.0, 0.0, 3599.0, 3600.0, 7199.0, 7200.0, 1e5]) for _ in range(2)]
    unseen = [random.choice([0.0, 0.0, 0.0, 400.0, 900.0, 1e5]) for _ in range(2)]
    if run.allocated.gpu_count == 1:
        # Of a single GPU there is nothing between idle and busy.
        idle, unseen = idle[:1] * 2, unseen[:1] * 2
    return RunLedger(since, until, 0.0, {}, 0.0, seconds, seconds * _share(random, 1.005), *idle, *unseen)


def random_fetch(random: Random) -> Use | None:
    """Draw what a fetch from Prometheus could read."""
    if random.random() < 0.1:
        return None
    names = [None, frozenset(), frozenset(NODES), frozenset(NODES), frozenset(random.sample(NODES, 4))]
    inputs = ("cpu_seconds", "memory_peak_bytes", "gpu_utilization")
    return make_use(
        gpus=random.choice([None, {}, {}, {}]), healthy_nodes=random.choice(names), gpu_nodes=random.choice(names),
        failed=dict.fromkeys(random.sample(inputs, random.choice([0, 0, 0, 1, 3])), "timeout"),
    )  # fmt: skip


def observation_of(use: Use | None) -> Observation:
    """Give what a fetch could read, as the judge of frames knows it."""
    if use is None:
        return Observation(reachable=False)
    return Observation(True, frozenset(use.failed), use.gpus is not None, use.healthy_nodes, use.gpu_nodes)


def observed_of(use: Use | None) -> Observed:
    return Observed(NOW, FAIR_SHARE, use)
