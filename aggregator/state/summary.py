"""What is kept of an ended run as JSON: an object by name in it → the column."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

# Raise it when a field changes its meaning; new fields need no new version.
VERSION = 1
_USE: Final = {
    "cpus": "used_cpus", "cpu_seconds": "cpu_seconds", "memory_bytes": "memory_used_bytes",
    "memory_peak_bytes": "memory_peak_bytes", "threads": "running_threads", "observed_seconds": "observed_seconds",
    "cpu_coverage": "cpu_coverage_ratio", "memory_coverage": "memory_coverage_ratio",
}  # fmt: skip
_GPU: Final = {
    "coverage": "gpu_coverage_ratio", "observed": "gpus_observed", "busy": "gpus_busy", "judged": "gpus_judged",
    "utilization": "gpu_utilization_ratio", "memory_bytes": "gpu_memory_used_bytes",
}  # fmt: skip
_EFFICIENCY: Final = {
    "cpu": "cpu_efficiency_ratio", "memory": "memory_efficiency_ratio", "time_limit_used": "time_limit_used_ratio",
    "wasted_cpus": "wasted_cpus", "wasted_memory_bytes": "wasted_memory_bytes", "wasted_gpus": "wasted_gpus",
    "wasted_cpu_seconds": "wasted_cpu_seconds", "wasted_gpu_seconds": "wasted_gpu_seconds",
    "allocated_gpu_units": "allocated_gpu_units", "wasted_gpu_units": "wasted_gpu_units",
    "wasted_gpu_unit_seconds": "wasted_gpu_unit_seconds", "observed": "observed_ratio",
}  # fmt: skip
_COUNTS: Final = frozenset({"gpus_observed", "gpus_busy"})
# Without a coverage nothing was seen, and nothing is judged.
_UNSEEN: Final = {"gpu_coverage_ratio": 0.0, "gpus_judged": 0.0}
Row = Mapping[str, Any]


def to_json(row: Row) -> str:
    """Write a row of KEPT; what is not a finite number is written as not known."""
    gpu = None if row[_GPU["coverage"]] is None else _write(_GPU, row)
    use = {**_write(_USE, row), "gpu": gpu}
    return orjson.dumps({"version": VERSION, "use": use, "efficiency": _write(_EFFICIENCY, row)}).decode()


def from_json(text: str) -> dict[str, float]:
    """Read a summary of any version by the columns of KEPT: fields that are not known are ignored, as missing ones.

    Raises ValueError for what is not JSON.
    """
    stored = _mapping(orjson.loads(text))
    use = _mapping(stored.get("use"))
    gpu = use.get("gpu")
    of_gpus = {**_UNSEEN, **dict(_read(_GPU, gpu))} if isinstance(gpu, dict) else {}
    return {**dict(_read(_USE, use)), **of_gpus, **dict(_read(_EFFICIENCY, stored.get("efficiency")))}


def _write(columns: Mapping[str, str], row: Row) -> dict[str, Any]:
    return {name: _whole(row[column]) if column in _COUNTS else row[column] for name, column in columns.items()}


def _whole(count: float | None) -> int | None:
    return None if count is None else int(count)


def _read(columns: Mapping[str, str], stored: object) -> Iterator[tuple[str, float]]:
    known = _mapping(stored)
    for name, column in columns.items():
        if isinstance(value := known.get(name), int | float):
            yield column, float(value)


def _mapping(stored: object) -> dict[str, object]:
    return stored if isinstance(stored, dict) else {}
