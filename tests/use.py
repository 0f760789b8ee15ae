"""The use of jobs in a short notation: values by job id and node, GPUs by job id; to frames and back."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import polars as pl

from aggregator.model.job_inputs import BASES, GPUS, NODE_VALUES, Bases, Use

# Job id → node → value.
NodeValues = Mapping[int, Mapping[str, float]]


class Gpu(NamedTuple):
    """One GPU of a job."""

    node: str
    index: str
    utilization: float | None = None
    memory_bytes: float | None = None


class Base(NamedTuple):
    """What the counters of a run showed when it began, by node."""

    sampled_at: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    memory_peak_bytes: Mapping[str, float]


def node_values(values: NodeValues) -> pl.DataFrame:
    """Make NODE_VALUES."""
    rows = [(job_id, node, value) for job_id, nodes in values.items() for node, value in nodes.items()]
    return pl.DataFrame(rows, schema=NODE_VALUES, orient="row")


def gpus_frame(gpus: Mapping[int, Iterable[Gpu]]) -> pl.DataFrame:
    """Make GPUS."""
    return pl.DataFrame([(job_id, *gpu) for job_id, found in gpus.items() for gpu in found], schema=GPUS, orient="row")


def make_bases(bases: Mapping[int, Base]) -> Bases:
    """Make the bases of runs by their ids; a node without one of the values has shown none."""
    rows = [
        (run_id, node, at, base.cpu_seconds.get(node), base.memory_peak_bytes.get(node))
        for run_id, base in bases.items()
        for node, at in base.sampled_at.items()
    ]
    return Bases(pl.DataFrame(rows, schema=BASES, orient="row"))


def values_of(use: Use, name: str) -> dict[int, dict[str, float]] | None:
    """Give the values of an input by job id and node, None where it has failed; no job has two of a node."""
    if name not in use.values:
        return None
    frame = use.values[name]
    assert frame.schema == NODE_VALUES
    assert not frame.select("job_id", "node").is_duplicated().any()
    found: dict[int, dict[str, float]] = {}
    for job_id, node, value in frame.sort("job_id", "node").iter_rows():
        found.setdefault(job_id, {})[node] = value
    return found


def gpus_of(use: Use) -> dict[int, tuple[Gpu, ...]] | None:
    """Give the GPUs by job id, in the order of nodes and indices; None where they could not be read."""
    return None if use.gpus is None else gpus_by_job(use.gpus)


def gpus_by_job(gpus: pl.DataFrame) -> dict[int, tuple[Gpu, ...]]:
    """Give GPUS by job id, in the order of nodes and indices."""
    assert gpus.schema == GPUS
    found: dict[int, tuple[Gpu, ...]] = {}
    for job_id, *gpu in gpus.sort("job_id", "node", "gpu").iter_rows():
        found[job_id] = (*found.get(job_id, ()), Gpu(*gpu))
    return found


def comparable(use: Use) -> dict[str, Any]:
    """Give all of a fetch but what was asked for it, in one order."""
    plain = {field.name: getattr(use, field.name) for field in fields(use) if field.name != "questions"}
    return {**plain, "values": {name: values_of(use, name) for name in use.values}, "gpus": gpus_of(use)}
