"""The SQL that is sent to slurmdbd's roll-up tables: by association and TRES ids always, never by time alone.

Their primary keys are (id, id_tres, time_start), (id, id_alt, id_tres, time_start) by QOS, and (id_tres, time_start)
of the whole cluster. An index on the time alone is there in one release and gone in the next.
"""

from collections.abc import Sequence
from typing import Final, Literal

from aggregator.model.calendar import RESOLUTIONS, Resolution
from aggregator.model.usage import CLUSTER_STATES
from aggregator.sources.slurmacct.schema import Schema

# Associations in one snapshot, which has a second: those of a busy site have a million rows of hours in a year.
CHUNK: Final = 100
# Days that tell the time zone, and more than a year so that they tell its changes.
BOUNDARIES: Final = 400
_STATE_COLUMNS: Final = dict(
    zip(CLUSTER_STATES, ("alloc_secs", "down_secs", "pdown_secs", "plan_secs", "idle_secs", "over_secs"), strict=True)
)
OPTIONAL: Final = tuple(f"qos_usage_{resolution}" for resolution in RESOLUTIONS)
REQUIRED: Final = (
    "last_ran",
    "assoc",
    *(f"{kind}_{resolution}" for kind in ("usage", "assoc_usage") for resolution in RESOLUTIONS),
)


def last_ran(schema: Schema) -> str:
    """Select until when the hours, days and months are final."""
    return f"SELECT hourly_rollup, daily_rollup, monthly_rollup FROM {schema.table('last_ran')} LIMIT 1"  # noqa: S608


def boundaries(schema: Schema) -> str:
    """Select when the last days began: slurmdbd writes one of the CPUs of the cluster for each."""
    return (
        f"SELECT time_start FROM {schema.table('usage_day')}"  # noqa: S608
        f" WHERE id_tres=1 ORDER BY time_start DESC LIMIT {BOUNDARIES}"
    )


def first(schema: Schema, resolution: Resolution) -> str:
    """Select when the oldest row begins."""
    return f"SELECT MIN(time_start) FROM {schema.table(f'usage_{resolution}')} WHERE id_tres=1"  # noqa: S608


def series(schema: Schema, resolution: Resolution, ids: int, tres: int, qos: int = 0) -> str:
    """Sum up associations by TRES and period: parameters (ids, [qos,] tres, from, before)."""
    return _associations(schema, resolution, "id_tres, time_start", ids, tres, qos)


def totals(schema: Schema, resolution: Resolution, ids: int, tres: int) -> str:
    """Sum up periods by association and TRES: parameters (ids, tres, from, before)."""
    return _associations(schema, resolution, "id, id_tres", ids, tres)


def decayed(schema: Schema, resolution: Resolution, ids: int, tres: int) -> str:
    """Sum up what is left of periods at a time: parameters (time, halvings per second, ids, tres, from, before)."""
    left = "alloc_secs*POW(0.5, (%s-time_start)*%s)"
    return _associations(schema, resolution, "id, id_tres", ids, tres, amount=left)


def _associations(
    schema: Schema, resolution: Resolution, by: str, ids: int, tres: int, qos: int = 0, amount: str = "alloc_secs"
) -> str:
    table = schema.table(f"{'qos' if qos else 'assoc'}_usage_{resolution}")
    of_qos = f" AND id_alt IN ({_marks(qos)})" if qos else ""
    return (
        f"SELECT {by}, SUM({amount}) FROM {table} WHERE id IN ({_marks(ids)}){of_qos}"  # noqa: S608
        f" AND id_tres IN ({_marks(tres)}) AND time_start>=%s AND time_start<%s AND deleted+0=0"
        f" GROUP BY {by} ORDER BY NULL"
    )


def cluster_series(schema: Schema, resolution: Resolution, tres: int) -> str:
    """Select the whole cluster's periods, columns as CLUSTER_STATES: parameters (tres, from, before)."""
    return (
        f"SELECT id_tres, time_start, {', '.join(_states(schema, resolution))}"  # noqa: S608
        f" FROM {schema.table(f'usage_{resolution}')}"
        f" WHERE id_tres IN ({_marks(tres)}) AND time_start>=%s AND time_start<%s AND deleted+0=0"
    )


def _states(schema: Schema, resolution: Resolution) -> Sequence[str]:
    """List the columns; before Slurm 21.08 planned time is in resv_secs."""
    table = f"usage_{resolution}"
    renamed: dict[str, Literal["resv_secs"]] = {} if schema.has(table, "plan_secs") else {"plan_secs": "resv_secs"}
    return [renamed.get(column, column) for column in _STATE_COLUMNS.values()]


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count)
