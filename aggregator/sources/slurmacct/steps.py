"""The steps of one run, and what its own row has of them."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from aggregator.model.accounting import JobState
from aggregator.model.steps import Exit, Recorded, Step
from aggregator.model.tres import ENERGY, MEMORY, SENTINEL, parse_tres
from aggregator.sources.mysql import Row, text
from aggregator.sources.slurmacct.rows import NO_VAL
from aggregator.sources.slurmacct.schema import Schema

MAX_STEPS: Final = 1000
_SPECIAL: Final = {-3: "TBD", -4: "extern", -5: "batch", -6: "interactive"}
_STATE_MASK, _SIGNAL_MASK, _STOPPED = 0xFF, 0x7F, 0x7F
_UINT31, _UINT32 = 1 << 31, 1 << 32

# column → the expression where a release lacks it; order is that of StepRow.
STEP_COLUMNS: Final = {
    "id_step": "0",
    "step_het_comp": str(NO_VAL),
    "step_name": "''",
    "state": "0",
    "time_start": "0",
    "time_end": "0",
    "exit_code": "0",
    "task_cnt": "0",
    "nodes_alloc": "0",
    "user_sec": "0",
    "user_usec": "0",
    "sys_sec": "0",
    "sys_usec": "0",
    "consumed_energy": "0",
    "tres_usage_in_tot": "''",
    "tres_usage_in_max": "''",
    "tres_usage_in_ave": "''",
}
_TEXT: Final = frozenset({"step_name", "tres_usage_in_tot", "tres_usage_in_max", "tres_usage_in_ave"})
_FACTS: Final = {"tres_alloc": "''", "exit_code": "0", "kill_requid": "NULL"}
# The table is small; the names are slurmdbd's own.
GPU_TRES: Final = (
    "SELECT id, CAST(name AS BINARY) FROM tres_table WHERE type=%s AND name IN (%s, %s) LIMIT 2",
    ("gres", "gpuutil", "gpumem"),
)


class StepRow(NamedTuple):
    """One row of the step table, in the order of STEP_COLUMNS."""

    id_step: int
    step_het_comp: int
    step_name: bytes | None
    state: int
    time_start: int
    time_end: int
    exit_code: int
    task_cnt: int
    nodes_alloc: int
    user_sec: int
    user_usec: int
    sys_sec: int
    sys_usec: int
    consumed_energy: int
    tres_usage_in_tot: bytes | None
    tres_usage_in_max: bytes | None
    tres_usage_in_ave: bytes | None


def steps(schema: Schema) -> str:
    """Select the steps of one run: parameters (job_db_inx, rows); served by the primary key."""
    columns = ", ".join(
        f"CAST({column} AS BINARY)" if column in _TEXT else column if schema.has("step", column) else missing
        for column, missing in STEP_COLUMNS.items()
    )
    return (
        f"SELECT {columns} FROM {schema.table('step')}"  # noqa: S608
        " WHERE job_db_inx=%s AND deleted+0=0 ORDER BY id_step, step_het_comp LIMIT %s"
    )


def facts(schema: Schema) -> str:
    """Select what one run's own row has beyond RunRow: parameter (job_db_inx)."""
    columns = ", ".join(
        missing if not schema.has("job", column) else f"CAST({column} AS BINARY)" if column == "tres_alloc" else column
        for column, missing in _FACTS.items()
    )
    return f"SELECT {columns} FROM {schema.table('job')} WHERE job_db_inx=%s LIMIT 1"  # noqa: S608


def parse_recorded(step_rows: Iterable[Row], fact_rows: list[Row], gpu_tres: Iterable[Row]) -> Recorded:
    """Parse a run's steps and what its own row says; a run that is gone has neither."""
    gpu_ids = {text(name): int(tres_id) for tres_id, name in gpu_tres}
    found = tuple(parse_step(StepRow(*row), gpu_ids) for row in step_rows)
    cut = len(found) >= MAX_STEPS
    if not fact_rows:
        return Recorded(found, cut=cut)
    tres_alloc, exit_code, requester = fact_rows[0]
    return Recorded(
        found,
        exit=parse_exit(int(exit_code)),
        cancelled_by=_requester(requester),
        energy_joules=parse_tres(text(tres_alloc)).get(ENERGY),
        cut=cut,
    )


def parse_step(row: StepRow, gpu_ids: dict[str, int]) -> Step:
    """Parse one step; gpu_ids are those of gres/gpuutil and gres/gpumem, since Slurm 23.02."""
    total, largest, mean = (parse_tres(text(column)) for column in row[-3:])
    state = row.state & _STATE_MASK
    seconds = row.user_sec + row.sys_sec + (row.user_usec + row.sys_usec) / 1e6
    ended = row.time_end > 0
    utilization = mean.get(gpu_ids.get("gpuutil", 0))
    return Step(
        id=step_id(row.id_step, row.step_het_comp),
        name=text(row.step_name),
        state=JobState(state) if state in JobState._value2member_map_ else None,
        start=float(row.time_start) if row.time_start else None,
        end=float(row.time_end) if ended else None,
        tasks=row.task_cnt,
        nodes=row.nodes_alloc,
        exit=parse_exit(row.exit_code) if ended else None,
        # Written whole when the step completes: nothing of a step means that nobody wrote it.
        cpu_seconds=seconds or None,
        memory_bytes=total.get(MEMORY) or None,
        memory_task_bytes=largest.get(MEMORY) or None,
        gpu_utilization=None if utilization is None else utilization / 100,
        gpu_memory_bytes=total.get(gpu_ids.get("gpumem", 0)),
        energy_joules=row.consumed_energy if 0 < row.consumed_energy < SENTINEL else None,
    )


def step_id(number: int, component: int) -> str:
    """Write a step's id as sacct does: special ones by name, components of a heterogeneous step with their number."""
    # The column is signed; releases and tools that take it for unsigned show 4294967291 for the batch step.
    signed = number - _UINT32 if number >= _UINT31 else number
    name = _SPECIAL.get(signed, str(signed))
    return name if component >= NO_VAL else f"{name}+{component}"


def parse_exit(status: int) -> Exit | None:
    """Read a wait(2) status word; None for a sentinel."""
    if not 0 <= status < NO_VAL:
        return None
    signal = status & _SIGNAL_MASK
    return Exit(status >> 8 & 0xFF, 0 if signal == _STOPPED else signal)


def _requester(uid: Any) -> int | None:
    """Read who cancelled: unset is −1 up to 21.08, and NULL since 22.05 (which kept some of the old as 2³²−1)."""
    return int(uid) if uid is not None and 0 <= int(uid) < NO_VAL else None
