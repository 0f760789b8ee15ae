"""The same inputs in both shapes: objects of the first edition as frames."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pytest

from aggregator.model.accounting import Run
from aggregator.model.use import Base
from aggregator.model.use import Use as UseObject
from aggregator.model.view import JobUse
from aggregator.parts.jobs.inputs import BASES, GPUS, NODE_VALUES, OF_NODES, RUN_GPUS, RUNS, Use
from aggregator.parts.jobs.use import USE


def runs_frame(runs: Iterable[Run]) -> pl.DataFrame:
    return pl.DataFrame([_run(run) for run in runs], schema=RUNS, orient="row", strict=False)


def _run(run: Run) -> tuple[Any, ...]:
    held = run.allocated
    return (
        run.run_id, run.job_id, run.user, run.account, run.state.name.lower(), run.partition, run.qos, run.name,
        run.array_job_id, run.array_task_id, run.pending_tasks, run.het_job_id, run.het_offset, run.submit,
        run.eligible, run.start, run.end, run.suspended_seconds, run.suspended_since, run.job_start,
        run.time_limit_seconds, held.cpus, held.memory_bytes, held.nodes, held.gpu_count, held.gpu_equivalents,
        ",".join(sorted(filter(None, held.gpus))), list(run.nodes), run.association_id, run.uid,
    )  # fmt: skip


def run_gpus_frame(runs: Iterable[Run]) -> pl.DataFrame:
    rows = [(run.run_id, gpu_type, count) for run in runs for gpu_type, count in run.allocated.gpus.items()]
    return pl.DataFrame(rows, schema=RUN_GPUS, orient="row")


def use_frames(use: UseObject) -> Use:
    values = {
        name: pl.DataFrame(
            [(job, node, value) for job, nodes in found.items() for node, value in nodes.items()],
            schema=NODE_VALUES,
            orient="row",
        )
        for name in OF_NODES
        if (found := getattr(use, name)) is not None
    }
    gpus = None
    if use.gpus is not None:
        rows = [(job, gpu.node, gpu.utilization, gpu.memory_bytes) for job, of in use.gpus.items() for gpu in of]
        gpus = pl.DataFrame(rows, schema=GPUS, orient="row")
    return Use(
        time=use.time, interval=use.interval, cpu_window=use.cpu_window, values=values, gpus=gpus,
        healthy_nodes=use.healthy_nodes, gpu_nodes=use.gpu_nodes, oldest=use.oldest,
    )  # fmt: skip


def bases_frame(bases: Mapping[int, Base]) -> pl.DataFrame:
    rows = [
        (run_id, node, at, base.cpu_seconds.get(node), base.memory_peak_bytes.get(node))
        for run_id, base in bases.items()
        for node, at in base.sampled_at.items()
    ]
    return pl.DataFrame(rows, schema=BASES, orient="row")


def use_row(use: JobUse) -> dict[str, float | None]:
    gpu = use.gpu
    return {
        "used_cpus": use.cpus,
        "cpu_seconds": use.cpu_seconds,
        "memory_used_bytes": use.memory_bytes,
        "memory_peak_bytes": use.memory_peak_bytes,
        "running_threads": use.threads,
        "observed_seconds": use.observed_seconds,
        "cpu_coverage_ratio": use.cpu_coverage,
        "memory_coverage_ratio": use.memory_coverage,
        "gpu_coverage_ratio": gpu.coverage if gpu else None,
        "gpus_observed": gpu.observed if gpu else None,
        "gpus_busy": gpu.busy if gpu else None,
        "gpus_judged": gpu.judged if gpu else None,
        "gpu_utilization_ratio": gpu.utilization if gpu else None,
        "gpu_memory_used_bytes": gpu.memory_bytes if gpu else None,
    }


def use_table(uses: Mapping[int, JobUse]) -> pl.DataFrame:
    rows = [{"run_id": run_id, **use_row(use)} for run_id, use in uses.items()]
    return pl.DataFrame(rows, schema=USE, strict=False)


def known(row: Mapping[str, Any]) -> Any:
    """Give what is known of a row, numbers to 1e-9: unknown is unequal to any value."""
    return {name: _about(value) for name, value in row.items() if value is not None}


def _about(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
