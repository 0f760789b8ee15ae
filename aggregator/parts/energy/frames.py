"""The frames of the ledger: what each column says, in which unit, and what null means there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.energy import COMPONENTS, METERS, MODELS

# The better meter has the smaller number.
METER: Final = pl.Enum(METERS)
COST_COMPONENTS: Final = ("electricity", "cooling", "hardware")
_F: Final = pl.Float64


DataType = pl.DataType | type[pl.DataType]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its unit ("" for none), and what null means ("" where there is none)."""

    name: str
    dtype: DataType
    meaning: str
    unit: str = ""
    null: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame holds; no two rows have the same values of the columns `key`, which are the first ones."""

    name: str
    key: int
    columns: tuple[Column, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Give the names of the columns that tell rows apart; none where rows may be alike."""
        return tuple(column.name for column in self.columns[: self.key])

    @property
    def schema(self) -> dict[str, DataType]:
        """Give dtypes by name, as polars takes them."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Give the frame without rows."""
        return pl.DataFrame(schema=self.schema)

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give the declared columns in their order; others are left out.

        Raises ValueError for a column that is missing, has another dtype, or has a null that means nothing. That keys
        are unique is checked where frames are joined.
        """
        found = frame.schema
        for column in self.columns:
            if column.name not in found:
                raise ValueError(f"{self.name}: the column {column.name} is missing")
            if found[column.name] != column.dtype:
                raise ValueError(f"{self.name}.{column.name}: {found[column.name]} instead of {column.dtype}")
            if not column.null and frame.get_column(column.name).null_count():
                raise ValueError(f"{self.name}.{column.name}: null has no meaning here")
        return frame.select(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Windows:
    """Closed windows of equal length, one after the other: number k is (begin + k·seconds, begin + (k+1)·seconds].

    begin is epoch seconds. Frames name a window by its number, from 0.
    """

    begin: float
    seconds: float
    count: int = 1

    @property
    def end(self) -> float:
        """Give the end of the last one, epoch seconds."""
        return self.begin + self.count * self.seconds

    def frame(self) -> pl.DataFrame:
        """List them: window, window_begin, window_end."""
        number = pl.col("window")
        return pl.DataFrame({"window": pl.int_range(self.count, dtype=pl.Int32, eager=True)}).with_columns(
            window_begin=self.begin + number * self.seconds, window_end=self.begin + (number + 1) * self.seconds
        )


def sum_by(key: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Add up all other columns by a key, as engine.frame.total does; for many groups that is faster."""
    names = [name for name in frame.columns if name != key]
    gaps = [name for name in names if frame[name].null_count()]
    known = [pl.col(name).count().alias(f"{name} known") for name in gaps]
    # Polars' streaming engine needs a third of the time of the other one for this.
    sums = frame.lazy().group_by(key).agg(pl.col(names).sum(), *known).collect(engine="streaming")
    masked = [pl.when(pl.col(f"{name} known") > 0).then(name).alias(name) for name in gaps]
    return sums.with_columns(masked).select(key, *names)


def rows_by_number(numbers: pl.Series, count: int, of_what: str) -> pl.Series:
    """Give for each number below `count` the row that has it, null where none has: a join by a gather.

    Raises ValueError where two rows have one number.
    """
    rows = pl.int_range(len(numbers), dtype=pl.UInt32, eager=True)
    found = pl.repeat(None, count, dtype=pl.UInt32, eager=True).scatter(numbers, rows)
    if count - found.null_count() != len(numbers):
        raise ValueError(f"{of_what}: two rows of one key")
    return found


def known_add(before: pl.Expr, more: pl.Expr) -> pl.Expr:
    """Add two values row by row: null where neither is known, the known one where the other is not."""
    return pl.coalesce(before + more, before, more)


def _joules(of_whom: str, null: str = "") -> tuple[Column, ...]:
    return tuple(
        Column(f"{model}_joules", _F, f"energy of {of_whom} without GPUs, by the model {model}", "joules", null)
        for model in MODELS
    )


def _meter_seconds() -> tuple[Column, ...]:
    return tuple(
        Column(f"{meter}_seconds", _F, f"time × share of nodes whose power {meter} showed", "seconds", "none was shown")
        for meter in METERS
    )


def _columns(unit: str, names: Sequence[str], meaning: str) -> tuple[Column, ...]:
    return tuple(Column(f"{name}_{unit}", _F, meaning.format(name), unit) for name in names)


_WINDOW = Column("window", pl.Int32, "number of the window, from 0")
_RUN = Column("run_id", pl.UInt64, "job_db_inx of the run")
_JOB = Column("job_id", pl.Int64, "Slurm's job id, as series have it")
_NODE = Column("node", pl.String, "name of the node, by the configured rule")
_USER = Column("user", pl.String, "user of the run")
_ACCOUNT = Column("account", pl.String, "account of the run")
_COSTS = (
    Column("currency", pl.String, "currency of the amounts"),
    *(
        Column(f"{component}_cost", _F, f"what {component} has cost", "currency", "nothing that has a price")
        for component in COST_COMPONENTS
    ),
)

# What goes in: slurmacct's part.
RUNS: Final = Frame("runs", 1, (
    _RUN, _JOB, _USER, _ACCOUNT,
    Column("start", _F, "when it started", "epoch seconds", "it has not started"),
    Column("end", _F, "when it ended", "epoch seconds", "it has not ended"),
    Column("is_suspended", pl.Boolean, "its state is suspended: it keeps memory and GPUs, and no CPUs"),
    Column("suspended_since", _F, "since when", "epoch seconds", "not suspended, or for as long as is known"),
    Column("allocated_cpus", _F, "CPUs that Slurm gave it", "CPUs"),
    Column("allocated_memory_bytes", _F, "memory that Slurm gave it", "bytes", "Slurm does not manage memory"),
    Column("nodes", pl.List(pl.String), "its nodes, each once"),
))  # fmt: skip
ALLOCATED_GPUS: Final = Frame("allocated_gpus", 2, (
    _RUN,
    Column("gpu_type", pl.String, 'Slurm\'s type of the GPUs, "" for those without'),
    Column("gpus", _F, "GPUs of this type that Slurm gave the run, a slice counts as one", "GPUs"),
))  # fmt: skip
# And Prometheus's part.
NODES: Final = Frame("nodes", 2, (
    _WINDOW, _NODE,
    Column("watts", _F, "mean power while it was measured, GPUs included unless lacks_gpus", "watts", "not measured"),
    Column("gpu_watts", _F, "power of all its GPUs", "watts", "not measured"),
    Column("static_watts", _F, "power of the host at rest", "watts", "not known yet"),
    Column("cpus", _F, "its CPUs as Slurm counts them", "CPUs", "not known"),
    Column("busy_cpus", _F, "those that worked, whoever made them", "CPUs", "not measured"),
    Column("memory_bytes", _F, "its memory", "bytes", "not known"),
    Column("gpus", _F, "its GPUs, a board counts as one", "GPUs", "not known"),
    Column("dram_share", _F, "the memory's part of the processors' power, 0–1", "", "not measured"),
    Column("covered", _F, "the part of the window in which its power was measured, 0–1"),
    Column("meter", METER, "what measured it"),
    Column("lacks_gpus", pl.Boolean, "the meter does not see GPUs: the power of the jobs' own comes on top"),
    Column("vouches_cpus", pl.Boolean, "a run that filled the window and has no CPU series here used none"),
    Column("vouches_memory", pl.Boolean, "the same of memory"),
    Column("vouches_gpus", pl.Boolean, "an allocated GPU that has no series here is idle"),
))  # fmt: skip
USED: Final = Frame("used", 3, (
    _WINDOW, _JOB, _NODE,
    Column("used_cpus", _F, "CPUs that the job used there", "CPUs", "no sample"),
    Column("used_memory_bytes", _F, "memory that it used there", "bytes", "no sample"),
))  # fmt: skip
GPUS: Final = Frame("gpus", 0, (
    _WINDOW, _JOB, _NODE,
    Column("utilization", _F, "of one GPU that the job sees, 0–1", "", "no sample"),
    Column("watts", _F, "power of its board; jobs that share a board all show it", "watts", "no sample, or a slice"),
))  # fmt: skip
BEST_METERS: Final = Frame("meters", 1, (
    _NODE, Column("meter", METER, "the best meter that has ever measured it"),
))  # fmt: skip

# What comes out of some windows.
_RUN_SUMS = (
    Column("since", _F, "start of the first window that it touched, cut to the run", "epoch seconds"),
    Column("until", _F, "end of the last one, cut to the run", "epoch seconds"),
    Column("power_seconds", _F, "time × share of nodes in which all was known that its energy rests on", "seconds"),
    *_meter_seconds(),
    *_joules("the run", "nothing was measured"),
    Column("gpu_joules", _F, "energy of its own GPUs", "joules", "nothing was measured"),
    Column("co2_grams", _F, "CO2 equivalent, by the chosen model", "grams", "nothing was measured, or no factor"),
    Column("gpu_seconds", _F, "GPUs × time whose utilisation was known", "seconds"),
    Column("gpu_used_seconds", _F, "Σ utilisation × time", "seconds"),
    Column("gpu_idle_seconds", _F, "observed time since one of its GPUs was last busy", "seconds"),
    Column("gpu_partly_idle_seconds", _F, "observed time since all were last busy", "seconds"),
    Column("gpu_unseen_seconds", _F, "time since one was last busy in which nothing was observed", "seconds"),
    Column("gpu_partly_unseen_seconds", _F, "the same since all were", "seconds"),
)
_NODE_SUMS = (
    _NODE,
    Column("until", _F, "end of the last window in which it was measured", "epoch seconds"),
    *_columns("joules", COMPONENTS, "energy of the node, {}, by the chosen model"),
    Column("power_seconds", _F, "time in which the best meter measured it", "seconds"),
    Column("fallback_seconds", _F, "time in which another did", "seconds"),
    Column("meter", METER, "the best meter that has ever measured it"),
)
RUN_GAINS: Final = Frame("run_gains", 1, (
    _RUN, *_RUN_SUMS, *_COSTS,
    Column("was_busy", pl.Boolean, "a GPU was busy: gpu_idle_seconds and gpu_unseen_seconds are those since then"),
    Column("was_all_busy", pl.Boolean, "all were: the same of gpu_partly_…"),
))  # fmt: skip
_USER_SUMS = (
    _USER,
    _ACCOUNT,
    Column("until", _F, "end of the last window in which they had a run", "epoch seconds"),
    Column("joules", _F, "energy by the chosen model, GPUs included", "joules", "nothing was measured"),
    Column("co2_grams", _F, "CO2 equivalent", "grams", "nothing was measured, or no factor"),
)
USER_GAINS: Final = Frame("user_gains", 2, (*_USER_SUMS, *_COSTS))
NODE_GAINS: Final = Frame("node_gains", 1, _NODE_SUMS)
RUN_POWER: Final = Frame("run_power", 1, (
    _RUN,
    *(Column(f"{model}_watts", _F, f"mean power without GPUs over the window, by {model}", "watts")
      for model in MODELS),
    Column("gpu_watts", _F, "mean power of its own GPUs", "watts", "they drew nothing that is known"),
    Column("coverage", _F, "share of the window in which all was known that its power rests on, 0–1"),
))  # fmt: skip
NODE_POWER: Final = Frame("node_power", 1, (
    _NODE,
    *_columns("watts", COMPONENTS, "mean power of the node, {}, by the chosen model"),
    Column("meter", METER, "what measured it in the window"),
))  # fmt: skip

# What is kept.
RUN_TOTALS: Final = Frame("run_totals", 1, (_RUN, *_RUN_SUMS))
NODE_TOTALS: Final = Frame("node_totals", 1, _NODE_SUMS)
USER_TOTALS: Final = Frame("user_totals", 2, _USER_SUMS)
RUN_COSTS: Final = Frame("run_costs", 2, (_RUN, *_COSTS))
USER_COSTS: Final = Frame("user_costs", 3, (_USER, _ACCOUNT, *_COSTS))


@dataclass(frozen=True, slots=True)
class Readings:
    """What Prometheus knows of some windows: the frames NODES, USED and GPUS."""

    windows: Windows
    nodes: pl.DataFrame
    used: pl.DataFrame
    gpus: pl.DataFrame
