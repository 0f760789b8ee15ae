"""What a part declares: the tables that it makes, the columns that it adds to others, and how it joins them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import polars as pl

from aggregator.engine.column import Column, DeclarationError, Listing, Table
from aggregator.engine.exposition import Folded, Limits, Member, Rests, Writer, Written, fold
from aggregator.engine.frame import Frames, conform, empty

T = TypeVar("T")


class Inputs:
    """What the sources of one refresh have brought, by type; what could not be read is not there."""

    def __init__(self, *found: Any) -> None:
        self._found = {type(each): each for each in found if each is not None}

    def get(self, kind: type[T]) -> T | None:
        """Give the input of a type, None where it could not be read."""
        found: T | None = self._found.get(kind)
        return found

    def with_more(self, *found: Any) -> "Inputs":
        """Give these and others."""
        return Inputs(*self._found.values(), *found)


@dataclass(frozen=True, slots=True)
class Before:
    """An input of every refresh but the first: the frames of the one before."""

    frames: Frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One subject. join is given the frames so far, the inputs and the time, and gives the frames that it changes.

    columns are those that it adds to the tables of other parts. A table or column of a part whose join fails is empty.
    """

    name: str
    join: Callable[[Frames, Inputs, float], Frames]
    tables: tuple[Table, ...] = ()
    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    """The frames of all tables, and the error of each part that failed, by its name."""

    frames: Frames
    failed: Mapping[str, Exception]


class Layout:
    """The tables of some parts, each with the columns that other parts add to it. Parts are joined in this order.

    kind is what the tables are of, which is a label of all their families: `cluster`, `filesystem` or `cloud`.
    """

    def __init__(self, kind: str, parts: Sequence[Part]) -> None:
        self.kind = kind
        self.parts = tuple(parts)
        self.tables: Mapping[str, Table] = _with_columns(parts)
        self._writers = {name: Writer(table, kind) for name, table in self.tables.items()}
        self._empty = {name: empty(table) for name, table in self.tables.items()}

    def empty(self) -> dict[str, pl.DataFrame]:
        """Give all frames without rows."""
        return dict(self._empty)

    @property
    def listings(self) -> Sequence[Listing]:
        """Give the families of all tables."""
        return [listing for table in self.tables.values() for listing in table.listings(self.kind)]

    def fold(self, frames: Frames, limits: Limits, before: Folded) -> Folded:
        """Choose which rows have series within the budget, after what was shown before."""
        return fold(self.tables.values(), frames, limits, before)

    def render(
        self, name: str, frames: Frames, rests: Rests = MappingProxyType({}), known: Written | None = None
    ) -> Mapping[str, Member]:
        """Write every family of one thing that has samples: family name → member.

        known is what was written of it last, and gets what is written now.
        """
        known = {} if known is None else known
        members: dict[str, Member] = {}
        for table, writer in self._writers.items():
            members |= writer.write(name, frames[table], rests.get(table, {}), known)
        return members

    def join(self, inputs: Inputs, at: float) -> Joined:
        """Join everything as of a time. A part that fails leaves the frames as they are, and its own columns null."""
        frames = self.empty()
        failed: dict[str, Exception] = {}
        for part in self.parts:
            try:
                made = part.join(frames, inputs, at)
                added = {name: {column.name for column in columns} for name, columns in part.columns.items()}
                frames |= {name: conform(self.tables[name], frame, added.get(name)) for name, frame in made.items()}
            except Exception as error:
                failed[part.name] = error
        return Joined(frames, failed)


def _with_columns(parts: Iterable[Part]) -> Mapping[str, Table]:
    """Put the tables of all parts together.

    Raises DeclarationError for two of one name, and for columns of a table that no part before makes.
    """
    tables: dict[str, Table] = {}
    for part in parts:
        for table in part.tables:
            if table.name in tables:
                raise DeclarationError(f"{part.name}: another part has a table {table.name}")
            tables[table.name] = table
        for name, columns in part.columns.items():
            if name not in tables:
                raise DeclarationError(f"{part.name}: no part before it has a table {name}")
            tables[name] = replace(tables[name], columns=(*tables[name].columns, *columns))
    return tables
