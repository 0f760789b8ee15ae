"""What a list answers with: the columns of a table, rows of others that belong to them, and what is derived."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, DType, Table
from aggregator.engine.few import find
from aggregator.engine.frame import Frames

TIME: Final = "_timestamp_seconds"
COVERAGE: Final = "_coverage_ratio"
# Gathered in one field, by what it is the coverage of.
GATHERED: Final = "coverage"
# What is asked for, by filter.
Filters = Mapping[str, Sequence[str]]
# Of the view, and all filters that are asked for, which rows one of them lets through.
Condition = Callable[[Any, Filters], pl.Expr]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """Rows of another table that belong to a row, as a list of objects in a field of its own.

    on are the columns that both have. A row has an empty list where the other table has none of it.
    """

    name: str
    table: Table
    on: tuple[str, ...]
    columns: tuple[str, ...]
    help: str

    def of(self, frame: pl.DataFrame, frames: Frames) -> pl.Series:
        """Give the field of each row of a page."""
        table, keys = frames[self.table.name], frame.select_seq(self.on)
        if frame.height == 1:
            is_own = (pl.col(name) == value for name, value in zip(self.on, keys.row(0), strict=True))
            return find(table, reduce(operator.and_, is_own)).select_seq(self._objects()).to_series().implode()
        own = table.join(keys, on=self.on, how="semi", maintain_order="left")
        lists = own.group_by(self.on, maintain_order=True).agg(self._objects())
        found = keys.join(lists, on=self.on, how="left", maintain_order="left").select(self.name)
        nothing = pl.lit([], found.schema[self.name])
        return found.select(pl.col(self.name).fill_null(nothing)).to_series()

    def _objects(self) -> pl.Expr:
        own = {column.name: column for column in self.table.columns}
        return pl.struct(plain(own[name]) for name in self.columns).alias(self.name)

    def holds(self, wanted: Filters, frames: Frames) -> pl.Expr:
        """Tell which rows have one of this table's that has all of these values."""
        conditions = (pl.col(name).cast(pl.String).is_in(list(values)) for name, values in wanted.items())
        found = frames[self.table.name].filter(*conditions)
        key = self.on[0] if len(self.on) == 1 else pl.struct(self.on)
        keys = found.select(key).to_series()
        return (pl.col(key) if isinstance(key, str) else key).is_in(keys.implode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A field that is made of columns: of the rows of an answer only, so that none is chosen by it."""

    name: str
    value: pl.Expr
    help: str
    dtype: DType = pl.String


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One list. order is that of its rows unless another is asked for, `-` before a name for descending: it tells all
    rows apart. conditions are filters that are no columns, or mean something else than the column's values. choices are
    the only values that a filter may have. of_groups are what a group has beside sums: numbers, each made of all its
    rows. words are parameters of the list alone, which others read.
    """

    name: str
    table: Table
    order: tuple[str, ...]
    derived: tuple[Derived, ...] = ()
    nested: tuple[Nested, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    choices: Mapping[str, Callable[[Any], Collection[str]]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    of_groups: tuple[Derived, ...] = ()
    words: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Give the columns that are shown, and may be chosen and sorted by, by name."""
        return {column.name: column for column in self.table.columns if column.name not in self.hidden}

    @cached_property
    def compared(self) -> Sequence[str]:
        """Give the columns whose values rows may be chosen by: objects are not compared."""
        return [name for name, column in self.columns.items() if not _has_objects(column.dtype)]

    @cached_property
    def fields(self) -> Sequence[str]:
        """Give what a row shows where nothing else is asked for."""
        plain_ones = [name for name in self.columns if not name.endswith(COVERAGE)]
        covered = [GATHERED] if len(plain_ones) < len(self.columns) else []
        return [
            *(each.name for each in self.derived), *plain_ones, *self._times.values(), *covered,
            *(each.name for each in self.nested),
        ]  # fmt: skip

    @cached_property
    def known(self) -> frozenset[str]:
        """Give all that `fields` may name."""
        return frozenset((*self.fields, *self.columns))

    @cached_property
    def amounts(self) -> Sequence[str]:
        """Give the columns that add up over rows."""
        return [column.name for column in self.columns.values() if column.is_amount]

    @cached_property
    def _times(self) -> Mapping[str, str]:
        """Give the time stamps, each with the name of the same as RFC 3339."""
        return {name: name.removesuffix(TIME) + "_time" for name in self.columns if name.endswith(TIME)}

    def needs(self, fields: Iterable[str]) -> set[str]:
        """Give the columns of which fields are made."""
        return {name for each in fields for name in self._roots.get(each, (each,))}

    def show(self, rows: pl.DataFrame, frames: Frames, fields: Sequence[str]) -> pl.DataFrame:
        """Give the rows of a page with these fields, in this order, of types that JSON has.

        frames has the tables of the nested rows.
        """
        nested = [each.of(rows, frames).alias(each.name) for each in self.nested if each.name in fields]
        return rows.hstack(nested).select_seq(self._shown.get(name, pl.col(name)) for name in fields)

    @cached_property
    def _roots(self) -> Mapping[str, Sequence[str]]:
        made = {name: value.meta.root_names() for name, value in self._made.items()}
        return {**made, **{each.name: each.on for each in self.nested}}

    @cached_property
    def _shown(self) -> Mapping[str, pl.Expr]:
        return {**{name: plain(column) for name, column in self.columns.items()}, **self._made}

    @cached_property
    def _made(self) -> Mapping[str, pl.Expr]:
        """Give how fields that are no columns are made, by name."""
        made = {name: _rfc3339(column) for column, name in self._times.items()}
        made |= {each.name: each.value for each in self.derived}
        if covered := [name for name in self.columns if name.endswith(COVERAGE)]:
            made[GATHERED] = pl.struct(pl.col(name).alias(name.removesuffix(COVERAGE)) for name in covered)
        return {name: value.alias(name) for name, value in made.items()}


def _has_objects(dtype: DType) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return isinstance(inner, pl.Struct)


def plain(column: Column) -> pl.Expr:
    """Give a column of a type that JSON has: keys of more bits than it keeps are text.

    An amount of more than 63 bits, which only a broken database has, is not known.
    """
    value = pl.col(column.name)
    if column.dtype == pl.UInt64:
        return value.cast(pl.String)
    if column.dtype == pl.List(pl.Int128):
        return short_numbers(value)
    return value.cast(pl.Int64, strict=False) if column.dtype == pl.Int128 else value


def short_numbers(lists: pl.Expr) -> pl.Expr:
    """Give lists of amounts with numbers of 64 bits; what has more is not known."""
    return lists.list.eval(pl.element().cast(pl.Int64, strict=False))


def _rfc3339(column: str) -> pl.Expr:
    milliseconds = (pl.col(column) * 1000).round().cast(pl.Int64, strict=False)
    return pl.from_epoch(milliseconds, time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a frame for CSV: texts in a list are joined by commas, objects are JSON."""
    made = {name: _flat(pl.col(name), dtype) for name, dtype in frame.schema.items()}
    return frame.with_columns(value.alias(name) for name, value in made.items() if value is not None)


def _flat(value: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if isinstance(dtype, pl.Struct):
        return value.struct.json_encode()
    if not isinstance(dtype, pl.List):
        return None
    if isinstance(dtype.inner, pl.Struct):
        objects = value.list.eval(pl.element().struct.json_encode()).list.join(",")
        return pl.concat_str(pl.lit("["), objects, pl.lit("]"))
    return value.cast(pl.List(pl.String)).list.join(",")
