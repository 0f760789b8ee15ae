"""Rows of slurmacct → the model. Pure: no I/O, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

import polars as pl

from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Association
from aggregator.model.hostlist import HostlistError, expand_hostlist
from aggregator.model.job_inputs import RUNS, Runs
from aggregator.model.nodename import NodeRule
from aggregator.model.tres import Allocation, allocation, gpu_types, license_names, parse_tres
from aggregator.sources.mysql import Row, text
from aggregator.sources.slurmacct.statements import TEXT

NO_VAL = 4294967294
_STATE_MASK = 0xFF
_RULE = NodeRule()


class RunRow(NamedTuple):
    """One row of the job table, in the order of statements.RUN_COLUMNS."""

    job_db_inx: int
    id_job: int
    id_assoc: int
    id_user: int
    account: bytes | None
    partition: bytes | None
    job_name: bytes | None
    state: int
    time_submit: int
    time_eligible: int
    time_start: int
    time_end: int
    time_suspended: int
    timelimit: int
    tres_alloc: bytes | None
    tres_req: bytes | None
    nodelist: bytes | None
    id_qos: int
    id_array_job: int
    id_array_task: int
    array_task_pending: int
    het_job_id: int
    het_job_offset: int
    sluid: int = 0


PACKED: Final = (
    *(name for name in RunRow._fields if name not in TEXT),
    *(name for name in RunRow._fields if name in TEXT),
)
_IN_ORDER: Final = itemgetter(*(PACKED.index(name) for name in RunRow._fields))


def unpack(numbers: str, *texts: bytes | None) -> RunRow:
    """Make a row of its columns in the order PACKED, of which the numbers are one text."""
    return RunRow._make(_IN_ORDER((*map(int, numbers.split(",")), *texts)))


def sharing(rows: Iterable[RunRow]) -> Iterator[RunRow]:
    """Give rows in which what is equal is one object: rows that are kept take half the memory."""
    seen: dict[int | bytes | None, int | bytes | None] = {}
    for row in rows:
        yield RunRow._make(map(seen.setdefault, row, row))


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The small tables that run rows refer to."""

    associations: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    qos: Mapping[int, str] = field(default_factory=dict)
    gpu_ids: Mapping[int, str | None] = field(default_factory=dict)
    license_ids: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Renamed:
    """The ids whose names are others than before: of associations, QOS and TRES."""

    associations: frozenset[int]
    qos: frozenset[int]
    tres: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.associations or self.qos or self.tres)

    def concerns(self, row: RunRow) -> bool:
        """Tell whether a row refers to one of them."""
        if row.id_assoc in self.associations or row.id_qos in self.qos:
            return True
        columns = (row.tres_alloc, row.tres_req) if self.tres else ()
        return any(not self.tres.isdisjoint(parse_tres(text(column))) for column in columns)


def renamed(before: Dimensions, after: Dimensions) -> Renamed:
    """Compare two readings of the small tables."""
    return Renamed(
        _differing(before.associations, after.associations),
        _differing(before.qos, after.qos),
        _differing(before.gpu_ids, after.gpu_ids) | _differing(before.license_ids, after.license_ids),
    )


def _differing(before: Mapping[int, object], after: Mapping[int, object]) -> frozenset[int]:
    # Most readings bring what is known, and comparing is faster than looking for differences.
    return frozenset() if before == after else frozenset(key for key, _ in before.items() ^ after.items())


def parse_dimensions(associations: Iterable[Association], tres: Iterable[Row], qos: Mapping[int, str]) -> Dimensions:
    """Parse the small tables; deleted associations name old runs."""
    names = {each.id: (each.user, each.account) for each in associations}
    catalog = {int(tres_id): (text(kind), text(name)) for tres_id, kind, name in tres}
    return Dimensions(names, qos, gpu_types(catalog), license_names(catalog))


def parse_run(cluster: str, row: RunRow, dimensions: Dimensions, at: float, names: NodeRule = _RULE) -> Run | None:
    """Parse one run; None for a state that no release writes and for federation's revoked siblings."""
    state = _state(row.state)
    if state is None or state is JobState.REVOKED:
        return None
    user, account = dimensions.associations.get(row.id_assoc, ("", ""))
    start, job_start = _starts(row)
    return Run(
        cluster=cluster,
        run_id=row.job_db_inx,
        job_id=row.id_job,
        # A run whose association is gone still has its uid.
        user=user or str(row.id_user),
        account=text(row.account) or account,
        state=state,
        submit=float(row.time_submit),
        partition=text(row.partition),
        qos=dimensions.qos.get(row.id_qos, ""),
        name=text(row.job_name),
        array_job_id=row.id_array_job or None,
        array_task_id=row.id_array_task if row.id_array_job and row.id_array_task < NO_VAL else None,
        pending_tasks=row.array_task_pending,
        het_job_id=row.het_job_id or None,
        het_offset=row.het_job_offset if row.het_job_id and row.het_job_offset < NO_VAL else None,
        eligible=_time(row.time_eligible),
        start=start,
        # A runaway fix can write INFINITE here: an end all the same.
        end=float(row.time_end) if row.time_end else None,
        suspended_seconds=_suspended(row, state, at),
        suspended_since=float(row.time_suspended) if state is JobState.SUSPENDED and not row.time_end else None,
        job_start=job_start,
        # 0 until slurmctld's word of the job's start has come: its first step may be recorded before.
        time_limit_seconds=row.timelimit * 60.0 if 0 < row.timelimit < NO_VAL else None,
        allocated=_allocation(row.tres_alloc or b"", dimensions),
        requested=_allocation(row.tres_req or b"", dimensions),
        nodes=_nodes(row.nodelist or b"", names),
        association_id=row.id_assoc or None,
        uid=row.id_user,
    )


def close_replaced(runs: Runs) -> Runs:
    """Close the open runs whose job id has a newer open run: nobody told slurmdbd that they ended.

    slurmctld holds a job id once, so that what is open twice was resized or requeued when the newer row was made.
    """
    is_open = pl.col("end").is_null()
    open_ones = runs.runs.filter(is_open)
    if open_ones["job_id"].is_unique().all():
        return runs
    newest = open_ones.sort("submit", "run_id").unique("job_id", keep="last")
    by = newest.select("job_id", by="run_id", at="submit", is_resized=pl.col("job_start").is_not_null())
    closed = is_open & (pl.col("by") != pl.col("run_id"))
    why = pl.when("is_resized").then(pl.lit("resizing")).otherwise(pl.lit("requeued"))
    frame = runs.runs.join(by, on="job_id", how="left", maintain_order="left", validate="m:1").with_columns(
        end=pl.when(closed).then("at").otherwise("end"),
        state=pl.when(closed).then(why).otherwise("state"),
        suspended_since=pl.when(~closed.fill_null(value=False)).then("suspended_since"),
    )
    return Runs(frame.select(RUNS.names()), runs.cluster)


def _state(number: int) -> JobState | None:
    for candidate in (number, number & _STATE_MASK):
        if candidate in JobState._value2member_map_:
            return JobState(candidate)
    return None


def _time(seconds: int) -> float | None:
    """Read a time: 0 is unset; array-throttled rows carry INFINITE."""
    return float(seconds) if 0 < seconds < NO_VAL else None


def _starts(row: RunRow) -> tuple[float | None, float | None]:
    """Read when the run started, and when its job did if that was before.

    A resize closes the job's row and makes another, which keeps the job's start; the resize is its submit time.
    """
    start = _time(row.time_start)
    if start is None or start >= row.time_submit:
        return start, None
    return float(row.time_submit), start


def _suspended(row: RunRow, state: JobState, at: float) -> float:
    """Read the seconds suspended: while suspended the column is a virtual start of all suspension.

    A job that is killed while it is suspended may keep that; no run is suspended for longer than since 1970.
    """
    if state is JobState.SUSPENDED or row.time_suspended >= row.time_start > 0:
        return max(0.0, (row.time_end or at) - row.time_suspended)
    return float(row.time_suspended)


def _allocation(column: bytes, dimensions: Dimensions) -> Allocation:
    return _parse_allocation(column, tuple(dimensions.gpu_ids.items()), tuple(dimensions.license_ids.items()))


# Most rows repeat a few shapes of allocation, and a run's own columns are read again at every refresh.
@lru_cache(maxsize=65_536)
def _parse_allocation(
    column: bytes, gpu_ids: tuple[tuple[int, str | None], ...], license_ids: tuple[tuple[int, str], ...]
) -> Allocation:
    return allocation(parse_tres(text(column)), dict(gpu_ids), dict(license_ids))


@lru_cache(maxsize=65_536)
def _nodes(column: bytes, names: NodeRule) -> tuple[str, ...]:
    """Expand the node list; one that cannot be read is unknown, which joins by job id alone."""
    try:
        return names.each(expand_hostlist(text(column)))
    except HostlistError:
        return ()
