"""The summary of an ended run as JSON."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import orjson

from aggregator.model.view import Efficiency, GpuUse, JobUse

# Raise it when a field changes its meaning; new fields need no new version.
VERSION = 1

_Part = TypeVar("_Part", JobUse, GpuUse, Efficiency)


def to_json(use: JobUse, efficiency: Efficiency) -> str:
    """Write a summary; what is not a finite number is written as not known."""
    return orjson.dumps({"version": VERSION, "use": use, "efficiency": efficiency}).decode()


def from_json(text: str) -> tuple[JobUse, Efficiency]:
    """Read a summary of any version: fields that are not known are ignored, missing ones are None.

    Raises ValueError for what is not JSON.
    """
    stored = _mapping(orjson.loads(text))
    use = _mapping(stored.get("use"))
    gpu = use.get("gpu")
    # Without a coverage nothing was seen, and nothing is judged.
    gpu_use = _read(GpuUse(coverage=0.0), gpu) if isinstance(gpu, dict) else None
    return replace(_read(JobUse(), use), gpu=gpu_use), _read(Efficiency(), stored.get("efficiency"))


def _read(empty: _Part, stored: object) -> _Part:
    known = _mapping(stored)
    numbers: dict[str, Any] = {name: value for name, value in known.items() if isinstance(value, int | float)}
    return replace(empty, **{field.name: numbers[field.name] for field in fields(empty) if field.name in numbers})


def _mapping(stored: object) -> dict[str, object]:
    return stored if isinstance(stored, dict) else {}
