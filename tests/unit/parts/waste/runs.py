"""Random runs with what is known of them, as rows of the frame `jobs`."""

from random import Random
from typing import Any

import polars as pl

from aggregator.model.accounting import JobState, Run
from aggregator.parts.waste.observation import Observation
from tests.builders import GIB, HOSTILE_NAMES, NOW, make_allocation, make_run

from .scene import INPUTS, with_computed

NODES = tuple(f"node{number:02}" for number in range(6))
NAMES = ("", "train.sh", "bench-1", *HOSTILE_NAMES)


Row = dict[str, Any]


def random_jobs(random: Random, count: int) -> pl.DataFrame:
    """Draw rows of `jobs` whose values lie at the bounds of the shipped rules more often than elsewhere."""
    rows = [_row(random, number) for number in range(count)]
    return with_computed(pl.DataFrame(rows, schema=INPUTS, strict=False))


def _row(random: Random, number: int) -> Row:
    run = _run(random, number)
    plain = {
        "run_id": run.run_id, "job_id": run.job_id, "user": run.user, "account": run.account,
        "partition": run.partition, "qos": run.qos, "state": run.state.name.lower(), "job_name": run.name,
        "nodes": run.nodes, "start_timestamp_seconds": run.start, "end_timestamp_seconds": run.end,
        "job_start": run.job_start, "time_limit_seconds": run.time_limit_seconds,
        "elapsed_seconds": run.elapsed(NOW), "suspended_seconds": run.suspended_seconds,
        "granted_cpus": run.allocated.cpus, "granted_memory_bytes": run.allocated.memory_bytes,
        "granted_nodes": run.allocated.nodes, "granted_gpus": run.allocated.gpu_count,
        "allocated_gpu_units": 2.5 * run.allocated.gpu_count if number % 3 else None,
        "allocated_gpus": run.allocated.gpu_count,
        "allocated_cpus": _allocated_cpus(run), "is_owner": True,
    }  # fmt: skip
    if run.start is None:
        return plain
    return {**plain, **_use(random, run), **(_ledger(random, run) if random.random() < 0.85 else {})}


def _allocated_cpus(run: Run) -> float | None:
    if run.start is None or not run.allocated.cpus:
        return None
    return 0.0 if run.state is JobState.SUSPENDED else run.allocated.cpus


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


def _use(random: Random, run: Run) -> Row:
    held, elapsed = run.allocated, run.elapsed(NOW)
    cpu_seconds = random.choice([None, 1.0, 1.05]) if random.random() < 0.3 else held.cpus * _share(random, 11.0)
    peak = None if random.random() < 0.2 else _share(random, 11.0) * (held.memory_bytes or GIB)
    cpus = None if random.random() < 0.2 else held.cpus * _share(random, 11.0)
    known = cpu_seconds is not None or peak is not None
    return {
        "used_cpus": cpus, "cpu_seconds": None if cpu_seconds is None else cpu_seconds * elapsed,
        "memory_peak_bytes": peak,
        "observed_seconds": elapsed * random.choice([0.0, 0.4999, 0.5, 0.9, 1.0, 1.0, 1.0, 2.0]) if known else None,
        "cpu_coverage_ratio": None if cpus is None else _share(random), **_gpu(random, held.gpu_count),
    }  # fmt: skip


def _gpu(random: Random, allocated: int) -> Row:
    if not allocated or random.random() < 0.1:
        return {}
    if random.random() < 0.1:
        return {"gpu_coverage_ratio": 0.0, "gpus_judged": 0.0}
    judged = allocated * random.choice([0.0, 0.5, 0.79, 0.8, 1.0, 1.0, 1.0])
    busy = random.choice([0, 0, allocated, allocated + 1, random.randint(0, allocated)]) if judged else None
    return {
        "gpu_coverage_ratio": judged / allocated, "gpus_observed": random.randint(0, allocated + 1),
        "gpus_busy": busy, "gpus_judged": judged,
        "gpu_utilization_ratio": None if not judged and random.random() < 0.5 else _share(random, 1.005),
    }  # fmt: skip


def _ledger(random: Random, run: Run) -> Row:
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
    return {
        "ledger_since_timestamp_seconds": since, "ledger_until_timestamp_seconds": until, "ledger_gpu_seconds": seconds,
        "ledger_gpu_used_seconds": seconds * _share(random, 1.005), "gpu_idle_seconds": idle[0],
        "gpu_partly_idle_seconds": idle[1], "gpu_unseen_seconds": unseen[0], "gpu_partly_unseen_seconds": unseen[1],
    }  # fmt: skip


def random_observation(random: Random) -> Observation:
    """Draw what a fetch from Prometheus could read."""
    if random.random() < 0.1:
        return Observation(reachable=False)
    names = [None, frozenset(), frozenset(NODES), frozenset(NODES), frozenset(random.sample(NODES, 4))]
    inputs = ("cpu_seconds", "memory_peak_bytes", "gpu_utilization")
    return Observation(
        failed=frozenset(random.sample(inputs, random.choice([0, 0, 0, 1, 3]))), has_gpus=random.random() < 0.75,
        healthy_nodes=random.choice(names), gpu_nodes=random.choice(names),
    )  # fmt: skip
