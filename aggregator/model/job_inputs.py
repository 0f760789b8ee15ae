"""What jobs are made of: the runs of slurmacct, and what Prometheus has of their use."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.few import find
from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Associations
from aggregator.model.question import ByInput
from aggregator.model.tres import Allocation

# GPUs by Slurm's type ("" when untyped).
GPUS_BY_TYPE: Final = pl.List(pl.Struct({"gpu_type": pl.String, "count": pl.Int64}))
# Licenses that are TRES, by name.
LICENSES: Final = pl.List(pl.Struct({"license": pl.String, "count": pl.Int64}))
# One row per run of the job table. Times are epoch seconds, null where the event has not happened. granted_* are what
# tres_alloc says, whatever the state is, and requested_* what tres_req says; memory is null where Slurm does not manage
# it, billing where Slurm does not track it. state is Slurm's word in lower case. suspended_since is set while the run
# is suspended: when all its suspensions put together would have begun. job_start is set for a row that a resize has
# made: the job, its processes and their counters began then.
RUNS: Final = schema(
    {
        "run_id": pl.UInt64,
        "job_id": pl.Int64,
        "user": pl.String,
        "account": pl.String,
        "state": pl.String,
        "partition": pl.String,
        "qos": pl.String,
        "job_name": pl.String,
        "array_job_id": pl.Int64,
        "array_task_id": pl.Int64,
        "pending_tasks": pl.Int64,
        "het_job_id": pl.Int64,
        "het_offset": pl.Int64,
        "submit": pl.Float64,
        "eligible": pl.Float64,
        "start": pl.Float64,
        "end": pl.Float64,
        "suspended_seconds": pl.Float64,
        "suspended_since": pl.Float64,
        "job_start": pl.Float64,
        "time_limit_seconds": pl.Float64,
        "granted_cpus": pl.Int64,
        "granted_memory_bytes": pl.Int64,
        "granted_nodes": pl.Int64,
        "granted_gpus": pl.Int64,
        "granted_gpu_equivalents": pl.Float64,
        "granted_gpus_by_type": GPUS_BY_TYPE,
        "granted_billing": pl.Int64,
        "granted_licenses": LICENSES,
        "gpu_types": pl.String,
        "requested_cpus": pl.Int64,
        "requested_memory_bytes": pl.Int64,
        "requested_nodes": pl.Int64,
        "requested_gpus_by_type": GPUS_BY_TYPE,
        "requested_billing": pl.Int64,
        "requested_licenses": LICENSES,
        "nodes": pl.List(pl.String),
        "association_id": pl.Int64,
        "uid": pl.Int64,
    }
)
# One value of a job on a node, in base units. A job that spans nodes has one of each node that its exporter reported.
NODE_VALUES: Final = schema({"job_id": pl.Int64, "node": pl.String, "value": pl.Float64})
# One GPU of one job as an exporter shows it; null where it gave no plausible value. gpu is the index among the job's
# GPUs on that node, or a UUID; utilization is a ratio.
GPUS: Final = schema(
    {
        "job_id": pl.Int64,
        "node": pl.String,
        "gpu": pl.String,
        "utilization": pl.Float64,
        "memory_bytes": pl.Float64,
    }
)
# What a job's counters showed on a node in the first samples of a run that began after them.
BASES: Final = schema(
    {
        "run_id": pl.UInt64,
        "node": pl.String,
        "base_at": pl.Float64,
        "base_cpu_seconds": pl.Float64,
        "base_peak_bytes": pl.Float64,
    }
)
# The columns of RUNS that a run has under the same name and as they are.
_SAME: Final = (
    "run_id", "job_id", "user", "account", "partition", "qos", "array_job_id", "array_task_id", "pending_tasks",
    "het_job_id", "het_offset", "submit", "eligible", "start", "end", "suspended_seconds", "suspended_since",
    "job_start", "time_limit_seconds", "association_id", "uid",
)  # fmt: skip
# For so many scrapes a run may have no series yet: these, and the start of its processes, take time.
SETTLE_INTERVALS: Final = 2
# The inputs that are values of a job on a node.
OF_NODES: Final = ("cpus", "cpu_seconds", "sampled_at", "memory_bytes", "memory_peak_bytes", "threads")


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one cluster (RUNS). One by one they are objects: for a few of them, not for work over all."""

    runs: pl.DataFrame
    cluster: str = ""

    def __iter__(self) -> Iterator[Run]:
        return (_run_of(self.cluster, row) for row in self.runs.iter_rows(named=True))

    def __len__(self) -> int:
        return self.runs.height

    def with_ids(self, run_ids: pl.Series) -> "Runs":
        """Give the few of these ids that are here."""
        return Runs(find(self.runs, pl.col("run_id").is_in(run_ids.implode())), self.cluster)

    def with_changes(self, changed: "Runs", gone: Collection[int]) -> "Runs":
        """Give them as they are after some have changed or come, and others, by run id, have gone."""
        if not changed and not gone:
            return self
        out = pl.concat([changed.runs["run_id"], pl.Series("run_id", list(gone), RUNS["run_id"])])
        kept = self.runs.filter(~pl.col("run_id").is_in(out.implode()))
        return Runs(pl.concat([kept, changed.runs], rechunk=True), self.cluster or changed.cluster)

    @property
    def gpus(self) -> pl.DataFrame:
        """Give what each run was given of each type of GPU: run_id, gpu_type, count."""
        return self._each("granted_gpus_by_type")

    @property
    def licenses(self) -> pl.DataFrame:
        """Give what each run was given of each license: run_id, license, count."""
        return self._each("granted_licenses")

    def _each(self, lists: str) -> pl.DataFrame:
        rows = self.runs.select("run_id", each=lists).filter(pl.col("each").list.len() > 0)
        return rows.explode("each").unnest("each")


NO_RUNS: Final = Runs(pl.DataFrame(schema=RUNS))


@dataclass(frozen=True, slots=True)
class Accounting:
    """One fetch from slurmacct: the open runs, those ended lately, and the associations.

    nodes are all of the cluster's, as slurmctld last told slurmdbd; empty where that is not known. missing says which
    tables are not there, or may not be read, and what is not known without each. questions say where the runs are read.
    """

    time: float
    runs: Runs
    associations: Associations = field(default_factory=Associations.of)
    nodes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    questions: ByInput = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bases:
    """What the counters of runs that a resize has made showed when these began (BASES)."""

    frame: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One fetch from Prometheus, all of it at one evaluation time but for inputs that failed and have an older value.

    values are NODE_VALUES by input (OF_NODES), one row for each job and node, and gpus are GPUS; an input that is not
    there, as gpus that are None, could not be read: nothing may be concluded from it. sampled_at are the epoch times of
    the newest samples, which may be minutes before `time`. cpu_window and interval are the seconds over which CPU rates
    were taken and between two scrapes. healthy_nodes have an exporter that is up, gpu_nodes one that has shown GPUs,
    lately or now. oldest is the time of the oldest value, None where all are of now. reachable: Prometheus has targets
    of the cluster, also where no input has a value. failed are the errors of inputs that could not be read, rejected
    counts what was dropped by the reason. questions are what was asked for the values that are there. Where several
    exporters bring an input, chosen says by its name whose value it is: job_id, node, exporter.
    """

    time: float
    interval: float = 30.0
    cpu_window: float = 120.0
    values: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    gpus: pl.DataFrame | None = None
    healthy_nodes: frozenset[str] | None = None
    gpu_nodes: frozenset[str] | None = None
    oldest: float | None = None
    reachable: bool = True
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    questions: ByInput = field(default_factory=dict)
    chosen: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def since(self) -> float:
        """Give the time of the oldest value: of a run that began later nothing is known yet."""
        return self.time if self.oldest is None else self.oldest

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no sample of any node at all."""
        values = (frame for name, frame in self.values.items() if name != "sampled_at")
        frames = (*values, *([] if self.gpus is None else [self.gpus]))
        return all(frame.is_empty() for frame in frames) and not self.healthy_nodes


def runs_of(found: Iterable[Run]) -> Runs:
    """Give runs of one cluster as columns, in their order."""
    runs = tuple(found)
    if not runs:
        return NO_RUNS
    plain = {name: dtype for name, dtype in RUNS.items() if dtype not in (GPUS_BY_TYPE, LICENSES)}
    frame = pl.DataFrame([_run(run) for run in runs], schema=plain, orient="row", strict=False)
    lists = {
        "granted_gpus_by_type": _counts([run.allocated.gpus for run in runs], "gpu_type"),
        "granted_licenses": _counts([run.allocated.licenses for run in runs], "license"),
        "requested_gpus_by_type": _counts([run.requested.gpus for run in runs], "gpu_type"),
        "requested_licenses": _counts([run.requested.licenses for run in runs], "license"),
    }
    return Runs(frame.with_columns(**lists).select(RUNS.names()), runs[0].cluster)


def _run(run: Run) -> tuple[Any, ...]:
    held, asked = run.allocated, run.requested
    return (
        run.run_id, run.job_id, run.user, run.account, run.state.name.lower(), run.partition, run.qos, run.name,
        run.array_job_id, run.array_task_id, run.pending_tasks, run.het_job_id, run.het_offset, run.submit,
        run.eligible, run.start, run.end, run.suspended_seconds, run.suspended_since, run.job_start,
        run.time_limit_seconds, held.cpus, held.memory_bytes, held.nodes, held.gpu_count, held.gpu_equivalents,
        held.billing, ",".join(sorted(filter(None, held.gpus))), asked.cpus, asked.memory_bytes, asked.nodes,
        asked.billing, list(run.nodes), run.association_id, run.uid,
    )  # fmt: skip


def _run_of(cluster: str, row: Mapping[str, Any]) -> Run:
    """Make a run of its columns."""
    return Run(
        cluster=cluster, state=JobState[row["state"].upper()], name=row["job_name"], nodes=tuple(row["nodes"]),
        allocated=_allocation(row, "granted"), requested=_allocation(row, "requested"),
        **{name: row[name] for name in _SAME},
    )  # fmt: skip


def _allocation(row: Mapping[str, Any], kind: str) -> Allocation:
    return Allocation(
        cpus=row[f"{kind}_cpus"], memory_bytes=row[f"{kind}_memory_bytes"], nodes=row[f"{kind}_nodes"],
        gpus=_by_name(row[f"{kind}_gpus_by_type"], "gpu_type"), billing=row[f"{kind}_billing"],
        licenses=_by_name(row[f"{kind}_licenses"], "license"),
    )  # fmt: skip


def _by_name(counts: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    return {each[name]: each["count"] for each in counts}


_FEW: Final = 20


def _counts(of_runs: Sequence[Mapping[str, int]], name: str) -> pl.Series:
    """Put counts by name into a list for each row; polars makes many structs of frames faster than of dicts."""
    dtype = pl.List(pl.Struct({name: pl.String, "count": pl.Int64}))
    if not any(of_runs):
        return pl.Series([[]], dtype=dtype).new_from_index(0, len(of_runs))
    if len(of_runs) <= _FEW:
        lists = [[{name: each, "count": count} for each, count in of.items()] for of in of_runs]
        return pl.Series(lists, dtype=dtype)
    rows = [(row, each, count) for row, of in enumerate(of_runs) for each, count in of.items()]
    counts = pl.DataFrame(rows, schema={"row": pl.Int64, name: pl.String, "count": pl.Int64}, orient="row")
    grouped = counts.group_by("row", maintain_order=True).agg(each=pl.struct(name, "count"))
    every = pl.DataFrame({"row": range(len(of_runs))}, schema={"row": pl.Int64})
    none = pl.lit([], dtype=grouped.schema["each"])
    return every.join(grouped, on="row", how="left", maintain_order="left")["each"].fill_null(none)
