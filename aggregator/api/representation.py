"""How runs, sums and sources look in JSON: pure functions, one per class of the model.

What was joined is {value, unit, coverage, source}, or null when it is not known; what was read is plain.
"""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.freshness import REPLICA, age, is_stale
from aggregator.model.accounting import Run
from aggregator.model.moment import rfc3339
from aggregator.model.tres import Allocation
from aggregator.model.view import Efficiency, GpuUse, Job, JobUse, SourceStatus, Sums
from aggregator.model.waste import FIELDS, Finding, Resource
from aggregator.sources.prometheus import provenance

Json = dict[str, Any]

HELD: Final = "slurmacct tres_alloc"
CPU: Final = provenance.CPU.text()
MEMORY: Final = provenance.MEMORY.text()
MEMORY_PEAK: Final = provenance.MEMORY_PEAK.text()
THREADS: Final = provenance.THREADS.text()
GPU: Final = provenance.GPU.text()
GPU_MEMORY: Final = provenance.GPU_MEMORY.text()
WASTED_GPU_TIME: Final = "the ledger: observed GPU time − Σ utilisation × time"
LEDGER: Final = "ledger of closed windows, via Prometheus"
_WASTED: Final[Mapping[Resource, tuple[str, ...]]] = {
    "cpu": ("cpus", "cpu_seconds"), "memory": ("memory_bytes",), "gpu": ("gpus", "gpu_seconds"),
}  # fmt: skip
# The join gives a cumulative value only when every node of the run is seen.
COMPLETE: Final = 1.0


def value(number: float | None, unit: str, coverage: float | None, source: str) -> Json | None:
    """Show a joined value with what it rests on."""
    if number is None:
        return None
    return {"value": number, "unit": unit, "coverage": coverage, "source": source}


def times(event: str, epoch: float | None) -> Json:
    """Show a time twice: for people and for programs."""
    return {f"{event}_time": rfc3339(epoch), f"{event}_timestamp": epoch}


def job_json(job: Job, at: float) -> Json:
    """Show one run with its use, as of time `at`."""
    return {
        **run_json(job.run, at),
        "use": use_json(job.use),
        "efficiency": efficiency_json(job.efficiency),
        "wasted": wasted_json(job),
        "waste": waste_json(job),
    }


def run_json(run: Run, at: float) -> Json:
    """Show what slurmacct says of one run; run_id is a string, for it needs more bits than JSON's numbers keep."""
    return {
        "id": run.display_id,
        "job_id": run.job_id,
        "run_id": str(run.run_id),
        "cluster": run.cluster,
        "user": run.user,
        "account": run.account,
        "partition": run.partition,
        "qos": run.qos,
        "state": run.state.name.lower(),
        "name": run.name,
        "array": _array_json(run),
        "het": None if run.het_job_id is None else {"job_id": run.het_job_id, "offset": run.het_offset},
        **times("submit", run.submit),
        **times("eligible", run.eligible),
        **times("start", run.start),
        **times("end", run.end),
        "elapsed_seconds": run.elapsed(at),
        "time_limit_seconds": run.time_limit_seconds,
        "requested": allocation_json(run.requested),
        "allocated": allocation_json(run.allocated),
        "nodes": list(run.nodes),
    }


def _array_json(run: Run) -> Json | None:
    if run.array_job_id is None:
        return None
    return {"job_id": run.array_job_id, "task_id": run.array_task_id, "pending_tasks": run.pending_tasks}


def allocation_json(held: Allocation) -> Json:
    """Show what a run holds or asks for."""
    return {
        "cpus": held.cpus, "memory_bytes": held.memory_bytes, "nodes": held.nodes, "gpus": dict(held.gpus),
        "gpu_equivalents": held.gpu_equivalents,
    }  # fmt: skip


def use_json(use: JobUse) -> Json:
    """Show what a run uses."""
    return {
        "cpus": value(use.cpus, "cpus", use.cpu_coverage, CPU),
        "cpu_seconds": value(use.cpu_seconds, "seconds", COMPLETE, CPU),
        "memory": value(use.memory_bytes, "bytes", use.memory_coverage, MEMORY),
        "memory_peak": value(use.memory_peak_bytes, "bytes", COMPLETE, MEMORY_PEAK),
        "threads": value(use.threads, "threads", None, THREADS),
        "gpus": None if use.gpu is None else gpu_json(use.gpu),
    }


def gpu_json(gpu: GpuUse) -> Json:
    """Show how a run uses its GPUs."""
    return {
        "coverage": gpu.coverage,
        "observed": value(gpu.observed, "gpus", gpu.coverage, GPU),
        "busy": value(gpu.busy, "gpus", gpu.coverage, GPU),
        "used": value(gpu.used, "gpus", gpu.coverage, GPU),
        "utilization": value(gpu.utilization, "ratio", gpu.coverage, GPU),
        "memory": value(gpu.memory_bytes, "bytes", gpu.coverage, GPU_MEMORY),
    }


def efficiency_json(efficiency: Efficiency) -> Json:
    """Show used ÷ allocated over the run so far; the share of the time limit needs no join and is plain."""
    seen = _seen(efficiency)
    return {
        "cpu": value(efficiency.cpu, "ratio", seen, f"{CPU} ÷ {HELD}"),
        "memory": value(efficiency.memory, "ratio", seen, f"{MEMORY_PEAK} ÷ {HELD}"),
        "time_limit_used": efficiency.time_limit_used,
    }


def _seen(efficiency: Efficiency) -> float:
    """Give the share of the run's time that was seen; what was kept before that was known tells of all of it."""
    return COMPLETE if efficiency.observed is None else efficiency.observed


def wasted_json(job: Job) -> Json:
    """Show what a run holds and does not use now, and over the run so far."""
    efficiency, use = job.efficiency, job.use
    gpu_coverage = use.gpu.coverage if use.gpu else None
    return {
        "cpus": value(efficiency.wasted_cpus, "cpus", use.cpu_coverage, f"{HELD} − {CPU}"),
        "memory": value(efficiency.wasted_memory_bytes, "bytes", COMPLETE, f"{HELD} − {MEMORY_PEAK}"),
        "gpus": value(efficiency.wasted_gpus, "gpus", gpu_coverage, f"{HELD} − {GPU}"),
        "cpu_seconds": value(
            efficiency.wasted_cpu_seconds, "seconds", _seen(efficiency), f"{HELD} × observed time − {CPU}"
        ),
        "gpu_seconds": value(efficiency.wasted_gpu_seconds, "seconds", None, WASTED_GPU_TIME),
    }


def waste_json(job: Job) -> Json:
    """Show what the rules of waste say of a run; a rule of null stands for every rule."""
    return {
        "findings": [finding_json(finding, job.efficiency) for finding in job.waste.findings],
        "not_judged": [{"rule": each.rule or None, "because": each.because} for each in job.waste.not_judged],
    }


def finding_json(finding: Finding, efficiency: Efficiency) -> Json:
    """Show one finding, with the condition that decides it and what the run wastes of the rule's resource."""
    rule, condition = finding.rule, finding.condition
    return {
        "reason": finding.reason,
        "severity": finding.severity,
        "resource": rule.resource,
        "message": rule.message,
        "fix": rule.fix or None,
        "documentation": rule.documentation or None,
        "field": condition.field,
        "value": finding.value,
        "operator": condition.operator,
        "threshold": condition.threshold,
        "unit": FIELDS[condition.field].unit,
        "coverage": finding.coverage,
        "wasted": {name: getattr(efficiency, f"wasted_{name}") for name in _WASTED[rule.resource]},
    }


def sums_json(sums: Sums) -> Json:
    """Show runs added up."""
    cpu, memory, gpu = (sums.coverage.get(name) for name in ("cpu", "memory", "gpu"))
    return {
        "jobs": dict(sums.jobs),
        "allocated": {
            "cpus": sums.allocated_cpus,
            "memory_bytes": sums.allocated_memory_bytes,
            "gpus": dict(sums.allocated_gpus),
        },
        "used": {
            "cpus": value(sums.used_cpus, "cpus", cpu, CPU),
            "memory": value(sums.used_memory_bytes, "bytes", memory, MEMORY),
            "memory_peak": value(sums.memory_peak_bytes, "bytes", memory, MEMORY_PEAK),
            "gpus": value(sums.used_gpus, "gpus", gpu, GPU),
            "busy_gpus": value(sums.busy_gpus, "gpus", gpu, GPU),
        },
        "wasted": {
            "cpus": value(sums.wasted_cpus, "cpus", cpu, f"{HELD} − {CPU}"),
            "memory": value(sums.wasted_memory_bytes, "bytes", memory, f"{HELD} − {MEMORY_PEAK}"),
            "gpus": value(sums.wasted_gpus, "gpus", gpu, f"{HELD} − {GPU}"),
            "cpu_seconds": value(sums.wasted_cpu_seconds, "seconds", None, f"{HELD} × observed time − {CPU}"),
            "gpu_seconds": value(sums.wasted_gpu_seconds, "seconds", None, WASTED_GPU_TIME),
        },
        "power": value(sums.power_watts, "watts", None, LEDGER),
        "waste_jobs": [
            {"reason": reason, "severity": severity, "jobs": count}
            for (reason, severity), count in sorted(sums.waste_jobs.items())
        ],
    }


def freshness_json(status: SourceStatus, now: float, stale_after: float) -> Json:
    """Show how fresh a source is, in words that change only when it does, so that an ETag can hold."""
    return {
        "source": status.source,
        "up": status.up,
        "stale": is_stale(status, now, stale_after),
        **times("last_success", status.last_success),
        **({"lag_seconds": status.lag_seconds} if status.source == REPLICA else {}),
        "error": status.error or None,
    }


def source_json(status: SourceStatus, now: float, stale_after: float) -> Json:
    """Show all that is known of a source's last fetch."""
    return {
        **freshness_json(status, now, stale_after),
        "scope": status.scope,
        "age_seconds": age(status, now),
        **times("last_attempt", status.last_attempt),
        "duration_seconds": status.duration_seconds,
        "rows": status.rows,
        "failed_inputs": dict(status.failed_inputs),
        "rejected": dict(status.rejected),
        "features": dict(status.features),
    }
