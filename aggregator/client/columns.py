"""The columns of lists: the first ones fit 80 columns, the others come with a wider terminal."""

from typing import Any, Final

from aggregator.client.screen import STYLES
from aggregator.client.table import Column, Row, plain
from aggregator.client.units import UNKNOWN, counted, duration, hours, number, percent, power, size

# As squeue and sacct write them.
_STATES: Final = {
    "pending": "PD", "running": "R", "suspended": "S", "completed": "CD", "cancelled": "CA", "failed": "F",
    "timeout": "TO", "node_fail": "NF", "preempted": "PR", "boot_fail": "BF", "deadline": "DL", "out_of_memory": "OOM",
    "requeued": "RQ", "resizing": "RS", "revoked": "RV",
}  # fmt: skip
SEVERITIES: Final = ("critical", "warning")


def findings(row: Row) -> list[dict[str, Any]]:
    """Give what rules have found of a job, the worst first."""
    found: list[dict[str, Any]] = row.get("waste") or []
    return sorted(found, key=lambda each: SEVERITIES.index(each["severity"]) if each["severity"] in SEVERITIES else 2)


def _finding(finding: dict[str, Any]) -> str:
    return f"{finding['reason']}{'!' if finding['severity'] == 'critical' else ''}"


def _verdict(row: Row) -> str:
    found = findings(row)
    return f"{_finding(found[0])}{f' +{len(found) - 1}' if len(found) > 1 else ''}" if found else ""


def _every_finding(row: Row) -> str:
    return " ".join(map(_finding, findings(row)))


def _worst(row: Row) -> str:
    found = findings(row)
    return STYLES.get(found[0]["severity"], "") if found else ""


def _state(row: Row) -> str:
    return _STATES.get(row["state"] or "", row["state"] or UNKNOWN)


def _time(row: Row) -> str:
    """Write elapsed time and time limit; without a limit of a job that has started it is unlimited."""
    if row["elapsed_seconds"] is None:
        return UNKNOWN
    limit = "no limit" if row["time_limit_seconds"] is None else duration(row["time_limit_seconds"])
    return f"{duration(row['elapsed_seconds'])}/{limit}"


def wasted_so_far(row: Row) -> str:
    """Write GPU-hours of a job with GPUs, else CPU-hours."""
    if is_pending(row):
        return ""
    name, unit = ("wasted_gpu_seconds", "GPU-h") if row["granted_gpus"] else ("wasted_cpu_seconds", "CPU-h")
    return UNKNOWN if row[name] is None else hours(row[name], unit)


def _wasted_now(row: Row) -> str:
    gpus, cpus, memory = row["wasted_gpus"], row["wasted_cpus"], row["wasted_memory_bytes"]
    parts = ((gpus, counted(gpus, "GPU")), (cpus, counted(cpus, "CPU")), (memory, size(memory)))
    known = [text for value, text in parts if value]
    return ", ".join(known) or ("0" if any(value == 0 for value, _ in parts) else UNKNOWN)


def is_pending(row: Row) -> bool:
    """Tell whether a job waits: what it holds, uses and wastes is nothing that could be known."""
    return bool(row["state"] == "pending")


def _cpus(row: Row) -> str:
    return number(row["requested_cpus"] if is_pending(row) else row["granted_cpus"])


def asked_gpus(row: Row) -> int | None:
    """Count the GPUs that are asked for."""
    types = row["requested_gpus_by_type"]
    return None if types is None else sum(each["count"] for each in types)


def _gpus(row: Row) -> str:
    count = asked_gpus(row) if is_pending(row) else row["granted_gpus"]
    return UNKNOWN if count is None else str(count) if count else ""


def _gpu_percent(row: Row) -> str:
    """Write the utilisation over the run, else now; a job without GPUs has none."""
    if row["granted_gpus"] == 0 or is_pending(row):
        return ""
    ratio = row["gpu_efficiency_ratio"]
    return percent(row["gpu_utilization_ratio"] if ratio is None else ratio)


def _ratio(name: str, title: str, rank: int) -> Column:
    return Column(title, (name, "state"), lambda row: "" if is_pending(row) else percent(row[name]), rank)


_ID: Final = plain("id", "JOB", right=False)
_USER: Final = plain("user", "USER", 2, right=False, least=8)
_TIME: Final = Column("TIME", ("elapsed_seconds", "time_limit_seconds"), _time, 1, right=False)
_SO_FAR: Final = Column(
    "WASTED", ("state", "granted_gpus", "wasted_gpu_seconds", "wasted_cpu_seconds"), wasted_so_far, 0, style=_worst
)  # fmt: skip

JOBS: Final = (
    _ID,
    _USER,
    plain("job_name", "NAME", 6, right=False, least=8),
    plain("account", "ACCOUNT", 7, right=False, least=10),
    Column("ST", ("state",), _state, 1, right=False),
    _TIME,
    Column("CPUS", ("granted_cpus", "requested_cpus"), _cpus, 2),
    _ratio("cpu_efficiency_ratio", "CPU%", 1),
    _ratio("memory_efficiency_ratio", "MEM%", 1),
    Column("GPUS", ("granted_gpus", "requested_gpus_by_type"), _gpus, 3),
    Column("GPU%", ("granted_gpus", "gpu_efficiency_ratio", "gpu_utilization_ratio"), _gpu_percent, 1),
    _SO_FAR,
    Column("VERDICT", ("waste",), _verdict, 0, right=False, least=11, style=_worst),
)
WASTE: Final = (
    _ID,
    _USER,
    plain("account", "ACCOUNT", 5, right=False, least=10),
    plain("job_name", "NAME", 6, right=False, least=8),
    _TIME,
    Column("WASTED NOW", ("wasted_gpus", "wasted_cpus", "wasted_memory_bytes"), _wasted_now, 1, right=False),
    Column("SO FAR", _SO_FAR.fields, wasted_so_far, 0),
    Column("RULES", ("waste",), _every_finding, 0, right=False, least=18, style=_worst),
)


def top(by: tuple[str, ...], largest: float | None) -> tuple[Column, ...]:
    """Give the columns of a ranking by fields; its bars are of the largest."""
    return (
        *(plain(name, name.upper(), right=False, least=8) for name in by),
        plain("jobs", "JOBS"),
        plain("allocated_cpus", "CPUS", 2),
        plain("wasted_cpus", "WASTED CPUS", 1),
        plain("allocated_gpus", "GPUS", 2),
        Column(
            "WASTED GPUS", ("wasted_gpus",), lambda row: number(row["wasted_gpus"]), 0,
            share=lambda row: row["wasted_gpus"] / largest if largest and row["wasted_gpus"] else None,
        ),
        Column("CPU-HOURS", ("wasted_cpu_seconds",), lambda row: hours(row["wasted_cpu_seconds"], ""), 4),
        Column("GPU-HOURS", ("wasted_gpu_seconds",), lambda row: hours(row["wasted_gpu_seconds"], ""), 4),
    )  # fmt: skip


def _part(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _of(part: float | None, whole: float | None) -> str:
    """Write a part of a whole; without a whole there is nothing to write."""
    if whole is None:
        return UNKNOWN
    return f"{number(part)}/{number(whole)}" if whole else ""


def _power(row: Row) -> str:
    parts = [row["jobs_watts"], row["idle_watts"], row["unattributed_watts"]]
    return UNKNOWN if any(each is None for each in parts) else power(sum(parts))


NODES: Final = (
    plain("node", "NODE", right=False),
    plain("state", "STATE", right=False),
    Column(
        "CPUS", ("allocated_cpus", "cpus"), lambda row: _of(row["allocated_cpus"], row["cpus"]), 0, right=False,
        share=lambda row: _part(row["allocated_cpus"], row["cpus"]),
    ),
    Column(
        "MEMORY", ("allocated_memory_bytes", "memory_bytes"), lambda row: size(row["memory_bytes"]), 1,
        right=False, share=lambda row: _part(row["allocated_memory_bytes"], row["memory_bytes"]),
    ),
    Column(
        "GPUS", ("slurmctld_allocated_gpus", "gpus"), lambda row: _of(row["slurmctld_allocated_gpus"], row["gpus"]), 1
    ),
    plain("used_gpus", "BUSY", 3),
    plain("load", "LOAD", 2),
    plain("jobs", "JOBS", 2),
    Column("POWER", ("jobs_watts", "idle_watts", "unattributed_watts"), _power, 3),
    Column("REASON", ("reason",), lambda row: row["reason"] or "", 4, right=False, least=8),
)  # fmt: skip
