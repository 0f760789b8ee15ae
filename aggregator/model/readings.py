"""What Prometheus holds of closed windows: what each column says, in which unit, and what null means there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from aggregator.model.energy import METERS

# The better meter has the smaller number.
METER: Final = pl.Enum(METERS)
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


@dataclass(frozen=True, eq=False)
class Frame:
    """What a frame holds; no two rows have the same values of the columns `key`, which are the first ones."""

    name: str
    key: int
    columns: tuple[Column, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Give the names of the columns that tell rows apart; none where rows may be alike."""
        return tuple(column.name for column in self.columns[: self.key])

    @cached_property
    def schema(self) -> Mapping[str, DataType]:
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
        names = frame.columns
        for name in self.schema:
            if name not in names:
                raise ValueError(f"{self.name}: the column {name} is missing")
        declared = frame[list(self.schema)]
        for column, series in zip(self.columns, declared.iter_columns(), strict=True):
            if series.dtype != column.dtype:
                raise ValueError(f"{self.name}.{column.name}: {series.dtype} instead of {column.dtype}")
            if not column.null and series.null_count():
                raise ValueError(f"{self.name}.{column.name}: null has no meaning here")
        return declared


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
        numbers = range(self.count)
        begins, ends = ([self.begin + (number + more) * self.seconds for number in numbers] for more in (0, 1))
        window = pl.Series(numbers, dtype=pl.Int32)
        return pl.DataFrame({"window": window, "window_begin": begins, "window_end": ends})


WINDOW: Final = Column("window", pl.Int32, "number of the window, from 0")
JOB_ID: Final = Column("job_id", pl.Int64, "Slurm's job id, as series have it")
NODE: Final = Column("node", pl.String, "name of the node, by the configured rule")
NODES: Final = Frame("nodes", 2, (
    WINDOW, NODE,
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
    WINDOW, JOB_ID, NODE,
    Column("used_cpus", _F, "CPUs that the job used there", "CPUs", "no sample"),
    Column("used_memory_bytes", _F, "memory that it used there", "bytes", "no sample"),
))  # fmt: skip
GPUS: Final = Frame("gpus", 0, (
    WINDOW, JOB_ID, NODE,
    Column("utilization", _F, "of one GPU that the job sees, 0–1", "", "no sample"),
    Column("watts", _F, "power of its board; jobs that share a board all show it", "watts", "no sample, or a slice"),
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Readings:
    """What Prometheus knows of some windows: the frames NODES, USED and GPUS."""

    windows: Windows
    nodes: pl.DataFrame
    used: pl.DataFrame
    gpus: pl.DataFrame


@dataclass(frozen=True, slots=True)
class NodeSize:
    """What the configuration says of a node, in the units of NODES; None where it says nothing."""

    static_watts: float | None = None
    cpus: float | None = None
    memory_bytes: float | None = None
    gpus: float | None = None
