"""What a column is: one fact of each row of a frame, declared once for `/metrics`, the API and the documentation."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Final, Literal

import polars as pl

DType = pl.DataType | type[pl.DataType]
Stability = Literal["STABLE", "EXPERIMENTAL"]
Kind = Literal["gauge", "counter", "histogram"]

_FAMILY = re.compile(r"hpc_[a-z][a-z0-9_]*")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED_SUFFIXES = ("_count", "_sum", "_bucket", "_created")
_COUNTER_SUFFIX = "_total"
# What a label may be beside an integer.
_TEXTS: Final = (pl.String, pl.Enum, pl.Categorical)
# Two of these make no third: shares, times of the clock, and facts whose value is always 1.
NO_AMOUNTS = ("_ratio", "_timestamp_seconds", "_info", "_level")
_NOT_KNOWN: Final = "not known"


class DeclarationError(ValueError):
    """A column, family or table is declared in a way that would show something wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family of `/metrics`: a counter if its name ends in `_total`, else a gauge or a histogram.

    cost says how many series there are, source where the numbers come from (table, series or formula). labels are those
    beside the table's. edges are the upper edges of a histogram's buckets without the last, which is +Inf. adds_up is
    false where a sum over rows means nothing though the name does not tell, such as for how long a job may run.
    """

    name: str
    help: str
    cost: str
    source: str
    labels: tuple[str, ...] = ()
    stability: Stability = "STABLE"
    edges: tuple[float, ...] = ()
    adds_up: bool = True

    def __post_init__(self) -> None:
        if not _FAMILY.fullmatch(self.name) or self.name.endswith(_RESERVED_SUFFIXES):
            raise DeclarationError(f"{self.name}: not a name for a family")
        _check_names(self.name, self.labels)
        if not self.help.endswith("."):
            raise DeclarationError(f"{self.name}: the help must be a sentence")
        if self.edges and self.name.endswith(_COUNTER_SUFFIX):
            raise DeclarationError(f"{self.name}: a histogram is no counter")

    @property
    def folds(self) -> bool:
        """Tell whether rows beyond the budget of series are shown as their sum; else they are left out."""
        return self.adds_up and not self.edges and not self.name.endswith(NO_AMOUNTS)

    @property
    def type(self) -> Kind:
        """Give Prometheus's word for the type."""
        if self.edges:
            return "histogram"
        return "counter" if self.name.endswith(_COUNTER_SUFFIX) else "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A family as it is on the page: with all its labels, and the group by which `?collect[]=` picks it."""

    name: str
    type: Kind
    labels: tuple[str, ...]
    help: str
    cost: str
    source: str
    stability: Stability
    collect: str

    @property
    def openmetrics_name(self) -> str:
        """Give the name in OpenMetrics's HELP and TYPE lines, where a counter's has no suffix."""
        return self.name.removesuffix(_COUNTER_SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How a column's values are samples of a family.

    labels have one value for the whole column; label_columns (label → column) have a value in each row. A `constant`
    sample is 1 wherever the column is known. where is a column of truth values: other rows have no sample. A
    histogram's column is a list of cumulative counts, and total the column with the sum of what was counted.
    """

    family: Family
    labels: Mapping[str, str] = field(default_factory=dict)
    label_columns: Mapping[str, str] = field(default_factory=dict)
    constant: bool = False
    where: str = ""
    total: str = ""

    def __post_init__(self) -> None:
        if {*self.labels, *self.label_columns} != set(self.family.labels):
            raise DeclarationError(f"{self.family.name}: its labels are {self.family.labels}")
        if bool(self.total) != bool(self.family.edges):
            raise DeclarationError(f"{self.family.name}: a histogram has a total, and nothing else has")

    def is_shown(self, column: str) -> pl.Expr:
        """Tell in which rows it is, as the sample of this column."""
        known = pl.col(column).is_not_null()
        return known & pl.col(self.where) if self.where else known


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One fact of each row: its name is the API's field, null says what a row without it means.

    adds_up tells whether a sum over rows means something; None for what its family says, and no without one. inputs
    name what sources are asked for it. promql is how the value of a row follows from their answers about it alone: a
    $name is the answer for the input of that name in base units, as plausible as it must be, $every_name also what is
    not, and the name of another column its value. coverage is the column with the share on which the value rests.
    """

    name: str
    dtype: DType
    help: str
    null: str = _NOT_KNOWN
    sample: Sample | None = None
    adds_up: bool | None = None
    inputs: tuple[str, ...] = ()
    promql: str = ""
    coverage: str = ""

    def __post_init__(self) -> None:
        if not _COLUMN.fullmatch(self.name):
            raise DeclarationError(f"{self.name}: not a name for a column")
        if not self.help.endswith("."):
            raise DeclarationError(f"{self.name}: the help must be a sentence")
        if not Template(self.promql).is_valid():
            raise DeclarationError(f"{self.name}: the query must have a name after each $")

    @property
    def is_amount(self) -> bool:
        """Tell whether a sum over rows means something."""
        if self.adds_up is not None or self.sample is None:
            return bool(self.adds_up)
        return self.sample.family.folds and not self.sample.constant and not self.name.endswith(NO_AMOUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A frame of things of one kind, one row each.

    of is the thing, collect the name by which `?collect[]=` picks it. labels are those of all its families beside the
    name of what it belongs to (a cluster, a file system, a cloud), each with the column that has its values. where is a
    column of truth values: other rows are in the API only, and have no sample. size is the column by which the largest
    rows keep their series where there are more than the budget has room for; one of several tables of the same things
    declares it.
    """

    name: str
    of: str
    collect: str
    labels: Mapping[str, str]
    columns: tuple[Column, ...]
    where: str = ""
    size: str = ""
    # Names and types of the frame: made once, for it is asked for with every frame.
    schema: pl.Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_names(self.name, (self.name, self.collect, *self.labels))
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise DeclarationError(f"{self.name}: two columns have one name")
        used = {*self.labels.values(), self.where, self.size}
        for sample in self.samples:
            used |= {*sample.label_columns.values(), sample.total, sample.where}
            if twice := self.labels.keys() & set(sample.family.labels):
                raise DeclarationError(f"{sample.family.name}: two labels are called {', '.join(sorted(twice))}")
        if missing := used - {*names, ""}:
            raise DeclarationError(f"{self.name}: no column {', '.join(sorted(missing))}")
        object.__setattr__(self, "schema", pl.Schema({column.name: column.dtype for column in self.columns}))
        for column, wanted in self._unwritable():
            raise DeclarationError(f"{self.name}: {column} is {self.schema[column]}, and must be {wanted}")

    def _unwritable(self) -> Iterator[tuple[str, str]]:
        """Give the columns that cannot be what they are used for: writing the page would fail, for all parts."""
        labels, conditions, numbers = {*self.labels.values()}, {self.where}, {self.size}
        for column in self.columns:
            if sample := column.sample:
                labels |= {*sample.label_columns.values()}
                conditions.add(sample.where)
                numbers |= {sample.total, "" if sample.constant or sample.family.edges else column.name}
        for name, dtype in self.schema.items():
            if name in labels and not (dtype.is_integer() or dtype in _TEXTS):
                yield name, "a text or an integer, for it is a label"
            if name in conditions and dtype != pl.Boolean:
                yield name, "Boolean, for it says which rows are shown"
            if name in numbers and not (dtype.is_numeric() or dtype == pl.Boolean):
                yield name, "a number, for it is a value at /metrics"

    @property
    def samples(self) -> Sequence[Sample]:
        """Give how its columns are shown, in the order of the columns."""
        return [column.sample for column in self.columns if column.sample is not None]

    @property
    def families(self) -> Sequence[Family]:
        """Give the families that its columns are samples of, each once."""
        return list({sample.family.name: sample.family for sample in self.samples}.values())

    def listings(self, scope: str) -> Sequence[Listing]:
        """Give its families as they are on the page; scope is the label of what they belong to, such as `cluster`."""
        return [
            Listing(
                name=family.name, type=family.type, labels=(scope, *self.labels, *family.labels), help=family.help,
                cost=family.cost, source=family.source, stability=family.stability, collect=self.collect,
            )
            for family in self.families
        ]  # fmt: skip


def _check_names(of: str, names: Iterable[str]) -> None:
    """See that each is a name of a label, which is in paths and parameters, too: one that is not spoils the page."""
    for name in names:
        if not _COLUMN.fullmatch(name):
            raise DeclarationError(f"{of}: {name!r} is not a name: lower case letters, digits and _")


def schema(columns: Mapping[str, DType]) -> pl.Schema:
    """Declare a frame that is no table: an input, or what is between two steps of a join."""
    return pl.Schema(columns)
