"""How runs, sums and sources look in JSON: pure functions of rows of the frames, and of classes of the model.

What was joined is {value, unit, coverage, source}, or null when it is not known; what was read is plain.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from aggregator.api.freshness import REPLICA, age, is_stale
from aggregator.model.jobid import display_id
from aggregator.model.moment import rfc3339
from aggregator.model.tres import Allocation
from aggregator.model.view import SourceStatus
from aggregator.model.waste import FIELDS, Finding, Judgement, Resource
from aggregator.sources.prometheus import provenance

Json = dict[str, Any]
# One row of a frame: its values by column.
Row = Mapping[str, Any]
Counts = Mapping[str, int]

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


def job_json(row: Row, cluster: str, judgement: Judgement) -> Json:
    """Show one run, a row of `jobs`, with its use."""
    return {
        **run_json(row, cluster),
        "use": use_json(row),
        "efficiency": efficiency_json(row),
        "wasted": wasted_json(row),
        "waste": waste_json(row, judgement),
    }


def run_json(row: Row, cluster: str) -> Json:
    """Show what slurmacct says of one run; run_id is a string, for it needs more bits than JSON's numbers keep."""
    return {
        "id": _display_id(row),
        "job_id": row["job_id"],
        "run_id": str(row["run_id"]),
        "cluster": cluster,
        "user": row["user"],
        "account": row["account"],
        "partition": row["partition"],
        "qos": row["qos"],
        "state": row["state"],
        "name": row["job_name"],
        "array": _array_json(row),
        "het": None if row["het_job_id"] is None else {"job_id": row["het_job_id"], "offset": row["het_offset"]},
        **times("submit", row["submit_timestamp_seconds"]),
        **times("eligible", row["eligible_timestamp_seconds"]),
        **times("start", row["start_timestamp_seconds"]),
        **times("end", row["end_timestamp_seconds"]),
        "elapsed_seconds": row["elapsed_seconds"],
        "time_limit_seconds": row["time_limit_seconds"],
        "requested": allocation_json(allocation_of(row, "requested")),
        "allocated": allocation_json(allocation_of(row, "granted")),
        "nodes": row["nodes"],
    }


def _display_id(row: Row) -> str:
    ids = ("job_id", "array_job_id", "array_task_id", "het_job_id", "het_offset")
    return display_id(*(row[name] for name in ids))


def _array_json(row: Row) -> Json | None:
    if row["array_job_id"] is None:
        return None
    return {
        "job_id": row["array_job_id"], "task_id": row["array_task_id"], "pending_tasks": row["pending_tasks"],
    }  # fmt: skip


def allocation_of(row: Row, which: Literal["granted", "requested"]) -> Allocation:
    """Give what a run was given, or asks for."""
    gpus = {each["gpu_type"]: each["count"] for each in row[f"{which}_gpus_by_type"]}
    return Allocation(row[f"{which}_cpus"], row[f"{which}_memory_bytes"], row[f"{which}_nodes"], gpus)


def allocation_json(held: Allocation) -> Json:
    """Show what a run holds or asks for."""
    return {
        "cpus": held.cpus, "memory_bytes": held.memory_bytes, "nodes": held.nodes, "gpus": dict(held.gpus),
        "gpu_equivalents": held.gpu_equivalents,
    }  # fmt: skip


def use_json(row: Row) -> Json:
    """Show what a run uses."""
    return {
        "cpus": value(row["used_cpus"], "cpus", row["cpu_coverage_ratio"], CPU),
        "cpu_seconds": value(row["cpu_seconds"], "seconds", COMPLETE, CPU),
        "memory": value(row["memory_used_bytes"], "bytes", row["memory_coverage_ratio"], MEMORY),
        "memory_peak": value(row["memory_peak_bytes"], "bytes", COMPLETE, MEMORY_PEAK),
        "threads": value(row["running_threads"], "threads", None, THREADS),
        "gpus": None if row["gpu_coverage_ratio"] is None else gpu_json(row),
    }


def gpu_json(row: Row) -> Json:
    """Show how a run uses its GPUs."""
    coverage, utilization = row["gpu_coverage_ratio"], row["gpu_utilization_ratio"]
    used = None if utilization is None else utilization * row["gpus_judged"]
    return {
        "coverage": coverage,
        "observed": value(whole(row["gpus_observed"]), "gpus", coverage, GPU),
        "busy": value(whole(row["gpus_busy"]), "gpus", coverage, GPU),
        "used": value(used, "gpus", coverage, GPU),
        "utilization": value(utilization, "ratio", coverage, GPU),
        "memory": value(row["gpu_memory_used_bytes"], "bytes", coverage, GPU_MEMORY),
    }


def whole(count: float | None) -> int | None:
    """Write a count without a fraction."""
    return None if count is None else int(count)


def efficiency_json(row: Row) -> Json:
    """Show used ÷ allocated over the run so far; the share of the time limit needs no join and is plain."""
    seen = _seen(row)
    return {
        "cpu": value(row["cpu_efficiency_ratio"], "ratio", seen, f"{CPU} ÷ {HELD}"),
        "memory": value(row["memory_efficiency_ratio"], "ratio", seen, f"{MEMORY_PEAK} ÷ {HELD}"),
        "time_limit_used": row["time_limit_used_ratio"],
    }


def _seen(row: Row) -> float:
    """Give the share of the run's time that was seen; what was kept before that was known tells of all of it."""
    observed: float | None = row["observed_ratio"]
    return COMPLETE if observed is None else observed


def wasted_json(row: Row) -> Json:
    """Show what a run holds and does not use now, and over the run so far."""
    return {
        "cpus": value(row["wasted_cpus"], "cpus", row["cpu_coverage_ratio"], f"{HELD} − {CPU}"),
        "memory": value(row["wasted_memory_bytes"], "bytes", COMPLETE, f"{HELD} − {MEMORY_PEAK}"),
        "gpus": value(row["wasted_gpus"], "gpus", row["gpu_coverage_ratio"], f"{HELD} − {GPU}"),
        "cpu_seconds": value(row["wasted_cpu_seconds"], "seconds", _seen(row), f"{HELD} × observed time − {CPU}"),
        "gpu_seconds": value(row["wasted_gpu_seconds"], "seconds", None, WASTED_GPU_TIME),
    }


def waste_json(row: Row, judgement: Judgement) -> Json:
    """Show what the rules of waste say of a run; a rule of null stands for every rule."""
    return {
        "findings": [finding_json(finding, row) for finding in judgement.findings],
        "not_judged": [{"rule": each.rule or None, "because": each.because} for each in judgement.not_judged],
    }


def finding_json(finding: Finding, row: Row) -> Json:
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
        "wasted": {name: row[f"wasted_{name}"] for name in _WASTED[rule.resource]},
    }


def sums_json(row: Row, jobs: Counts, gpus: Counts, findings: Mapping[tuple[str, str], int]) -> Json:
    """Show jobs added up: a row of `users` or `accounts`, with what is counted by state, GPU type, and finding."""
    cpu, memory, gpu = (row[f"{name}_coverage_ratio"] for name in ("cpu", "memory", "gpu"))
    return {
        "jobs": jobs,
        "allocated": {
            "cpus": whole(row["allocated_cpus"]), "memory_bytes": whole(row["allocated_memory_bytes"]), "gpus": gpus,
        },
        "used": {
            "cpus": value(row["used_cpus"], "cpus", cpu, CPU),
            "memory": value(row["used_memory_bytes"], "bytes", memory, MEMORY),
            "memory_peak": value(row["memory_peak_bytes"], "bytes", memory, MEMORY_PEAK),
            "gpus": value(row["used_gpus"], "gpus", gpu, GPU),
            "busy_gpus": value(whole(row["busy_gpus"]), "gpus", gpu, GPU),
        },
        "wasted": {
            "cpus": value(row["wasted_cpus"], "cpus", cpu, f"{HELD} − {CPU}"),
            "memory": value(row["wasted_memory_bytes"], "bytes", memory, f"{HELD} − {MEMORY_PEAK}"),
            "gpus": value(row["wasted_gpus"], "gpus", gpu, f"{HELD} − {GPU}"),
            "cpu_seconds": value(row["wasted_cpu_seconds"], "seconds", None, f"{HELD} × observed time − {CPU}"),
            "gpu_seconds": value(row["wasted_gpu_seconds"], "seconds", None, WASTED_GPU_TIME),
        },
        "power": value(row["power_watts"], "watts", None, LEDGER),
        "waste_jobs": [
            {"reason": reason, "severity": severity, "jobs": count}
            for (reason, severity), count in sorted(findings.items())
        ],
    }  # fmt: skip


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
