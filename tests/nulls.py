"""Inputs with unknown cells: which cells frames have, and the same inputs with some of these cells changed."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import polars as pl


class Cell(NamedTuple):
    """A cell of an input: where its frame is in the input, the column, and the number of the row."""

    path: tuple[str, ...]
    column: str
    row: int


def frames_of(given: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """Give every frame within an input, and where it is: names of classes, fields and keys."""
    if isinstance(given, pl.DataFrame):
        yield path, given
    elif isinstance(given, Mapping):
        for key, value in given.items():
            yield from frames_of(value, (*path, str(key)))
    elif is_dataclass(given) and not isinstance(given, type):
        for each in fields(given):
            yield from frames_of(getattr(given, each.name), (*(path or (type(given).__name__,)), each.name))


def cells_of(inputs: tuple[object, ...]) -> list[Cell]:
    """Give every cell of every frame of inputs in which something is known."""
    return [
        Cell(path, column, row)
        for given in inputs
        for path, frame in frames_of(given)
        for column in frame.columns
        for row, value in enumerate(frame[column])
        if value is not None
    ]


def with_cells(given: Any, values: Mapping[Cell, Any], path: tuple[str, ...] = ()) -> Any:
    """Give an input in which these cells have these values."""
    if isinstance(given, pl.DataFrame):
        return _changed(given, {cell: value for cell, value in values.items() if cell.path == path})
    if isinstance(given, Mapping):
        return {key: with_cells(value, values, (*path, str(key))) for key, value in given.items()}
    if is_dataclass(given) and not isinstance(given, type) and any(True for _ in frames_of(given)):
        within = path or (type(given).__name__,)
        return replace(
            given, **{each.name: with_cells(getattr(given, each.name), values, (*within, each.name))
                      for each in fields(given)}
        )  # fmt: skip
    return given


def _changed(frame: pl.DataFrame, values: Mapping[Cell, Any]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {}
    for cell, value in values.items():
        columns.setdefault(cell.column, frame[cell.column].to_list())[cell.row] = value
    return frame.with_columns(
        pl.Series(name, column, dtype=frame.schema[name]) for name, column in columns.items()
    )  # fmt: skip
