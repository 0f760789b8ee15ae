"""Frames and the rules of null: null is "not known", and what rests on nothing known is not known."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl

from aggregator.engine.column import Table

# The frames of a view, by their tables' names.
Frames = Mapping[str, pl.DataFrame]


def frame_of(table: Table, columns: Mapping[str, Sequence[Any] | pl.Series]) -> pl.DataFrame:
    """Make a table's frame of what is known of its columns; the others are null, NaN is no value and is null."""
    frame = pl.DataFrame(columns, schema={name: table.schema[name] for name in columns}, strict=False)
    return conform(table, frame)


def conform(table: Table, frame: pl.DataFrame, new: Collection[str] | None = None) -> pl.DataFrame:
    """Give a frame the columns of its table, in their order and of their types; one that is missing is null.

    new are those that may have NaN, None for all: the others have been here before.
    """
    found = frame.schema  # made anew whenever it is asked for
    changed = [
        _of_type(name, dtype, found.get(name))
        for name, dtype in table.schema.items()
        if found.get(name) != dtype or (dtype.is_float() and (new is None or name in new))
    ]
    return (frame.with_columns(changed) if changed else frame)[list(table.schema)]


@cache
def _of_type(name: str, dtype: pl.DataType, found: pl.DataType | None) -> pl.Expr:
    """Make a column of its type: null where the frame has none, and where it is NaN.

    It is made once: that takes longer than to make the values of some thousand rows.
    """
    if found is None:
        return pl.lit(None, dtype).alias(name)
    column = pl.col(name) if found == dtype else pl.col(name).cast(dtype)
    return column.fill_nan(None) if dtype.is_float() else column


def empty(table: Table) -> pl.DataFrame:
    """Make a table's frame without rows."""
    return pl.DataFrame(schema=table.schema)


def pairs(of: Mapping[str, Collection[str]], key: str, member: str) -> pl.DataFrame:
    """Put each key and each of its members into a row, under these names."""
    rows = [(each, name) for each, members in of.items() for name in sorted(members)]
    return pl.DataFrame(rows, schema={key: pl.String, member: pl.String}, orient="row")


def total(column: str | pl.Expr) -> pl.Expr:
    """Add up what is known of a group; null where nothing is: the engine's own sum of nothing is 0."""
    values = pl.col(column) if isinstance(column, str) else column
    return pl.when(values.count() > 0).then(values.sum())


def whole(values: pl.Expr) -> pl.Expr:
    """Add up a group of which all is known; null where one is not: a part is not the whole."""
    return pl.when(values.null_count() == 0).then(values.sum())


def totals(columns: Iterable[str]) -> list[pl.Expr]:
    """Add up columns of a group, each as `total` does."""
    return [total(column).alias(column) for column in columns]


def ratio(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    """Divide; null where either is not known, or where the whole is 0."""
    divisor = pl.col(whole) if isinstance(whole, str) else whole
    dividend = pl.col(part) if isinstance(part, str) else part
    return pl.when(divisor > 0).then(dividend / divisor)


def add_columns(frame: pl.DataFrame, more: pl.DataFrame, on: str | Sequence[str]) -> pl.DataFrame:
    """Join the columns of another frame to the rows of this one; a row of this one is never doubled.

    Raises polars.exceptions.ComputeError where the other frame has two rows of one key.
    """
    return frame.join(more, on=on, how="left", validate="m:1", nulls_equal=True, maintain_order="left")


def side_by_side(frames: Mapping[str, pl.DataFrame], value: str) -> list[pl.DataFrame]:
    """Name the column *value* of each frame as the frame; those that have all else in common become one.

    Who asks several things of the same is often answered alike, and a look costs less than a join, or more rows.
    """
    found: list[pl.DataFrame] = []
    for name, frame in frames.items():
        keys = frame.drop(value)
        number = next((each for each, other in enumerate(found) if keys.equals(other.select(keys.columns))), None)
        if number is None:
            found.append(frame.rename({value: name}))
        else:
            found[number] = found[number].with_columns(frame[value].alias(name))
    return found
