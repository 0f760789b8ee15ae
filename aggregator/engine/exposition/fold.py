"""Keep series within a budget: the largest rows of each kind have series, and the others are added up as `_other`.

A kind is what the tables of one group name by the same labels, such as users under an account: all of its tables show
the same rows, so that their series join.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import Column, Sample, Table
from aggregator.engine.exposition.counter import SHOWN, VALUE, Count, Counted, add_up, count, remember
from aggregator.engine.frame import Frames, total

# Group of families (`collect`) → how many rows of each kind may have series; the others have no bound.
Limits = Mapping[str, int]
Kind = tuple[str, tuple[str, ...]]
# A newcomer takes the place of a row that is shown only where it is so many times as large: series shall not flap.
LARGER: Final = 1.1
_SIZE: Final = "_size"
_IS_SHOWN: Final = pl.col(SHOWN).fill_null(value=False).alias(SHOWN)


@dataclass(frozen=True, slots=True)
class Rest:
    """What a column has beside its own series: labels and VALUE of `_other`, and how many of its samples are folded."""

    others: pl.DataFrame
    folded: int


# By table and name of the column.
Rests = Mapping[str, Mapping[str, Rest]]


@dataclass(frozen=True, slots=True)
class Folded:
    """What has series: frames with the rows that have their own, and the rests of columns.

    The others are for the next refresh: the rows of each kind that has been folded, its counters, and all frames.
    """

    frames: Frames = field(default_factory=dict)
    rests: Rests = field(default_factory=dict)
    shown: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    counted: Mapping[tuple[str, str], Counted] = field(default_factory=dict)
    whole: Frames = field(default_factory=dict)


def fold(tables: Iterable[Table], frames: Frames, limits: Limits, before: Folded) -> Folded:
    """Choose which rows have series. A kind that never was above its limit is shown as it is, at no cost.

    A refresh without any row of a kind or table, in which its source failed, leaves what is remembered of it.
    """
    made, shown = dict(frames), dict(before.shown)
    rests: dict[str, Mapping[str, Rest]] = {}
    counted = dict(before.counted)
    for kind, of_kind in _kinds(tables).items():
        if kind not in before.shown and _is_within(of_kind, frames, limits.get(kind[0])):
            continue
        rows = {table.name: _on_page(table, frames[table.name]) for table in of_kind}
        chosen = _choose(of_kind, rows, limits.get(kind[0]), before.shown.get(kind))
        if chosen is not None:
            shown[kind] = chosen
            for table in of_kind:
                if rows[table.name].is_empty():
                    rests[table.name] = _counted_before(table, before)
                    continue
                marked = _marked(table, rows[table.name], chosen)
                counts = _counts(table, marked, before)
                made[table.name], rests[table.name] = _with_series(marked, counts), _rests(table, marked, counts)
                counted |= {(table.name, name): each.memory for name, each in counts.items()}
    whole = {name: before.whole.get(name, frame) if frame.is_empty() else frame for name, frame in frames.items()}
    return Folded(made, rests, shown, counted, whole)


def _counted_before(table: Table, before: Folded) -> Mapping[str, Rest]:
    """Give what the counters of a table without rows have counted."""
    return {column: Rest(each.others, 0) for (name, column), each in before.counted.items() if name == table.name}


def _kinds(tables: Iterable[Table]) -> Mapping[Kind, Sequence[Table]]:
    """Put the tables together that name the same things; what has no labels is one thing, and is never folded."""
    kinds: dict[Kind, list[Table]] = {}
    for table in tables:
        if table.labels and table.samples:
            kinds.setdefault((table.collect, tuple(table.labels)), []).append(table)
    return kinds


def _is_within(tables: Sequence[Table], frames: Frames, limit: int | None) -> bool:
    """Tell whether a kind has room for all rows: to count them costs less than to look at them."""
    counts = (frames[each.name][each.where].sum() if each.where else frames[each.name].height for each in tables)
    return limit is None or sum(counts) <= limit


def _on_page(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col(table.where)) if table.where else frame


def _choose(
    tables: Sequence[Table], rows: Frames, limit: int | None, before: pl.DataFrame | None
) -> pl.DataFrame | None:
    """Choose what of a kind has series, by its labels; None where there is nothing to choose from, or to leave out."""
    if all(frame.is_empty() for frame in rows.values()):
        return None
    found = pl.concat([rows[table.name].select(**_keys(table)) for table in tables]).unique()
    if limit is None or found.height <= limit:
        return None if before is None else found
    return _ranked(_sized(tables, rows, found), before).head(limit)


def _keys(table: Table) -> Mapping[str, pl.Expr]:
    return {label: pl.col(column) for label, column in table.labels.items()}


def _sized(tables: Sequence[Table], rows: Frames, found: pl.DataFrame) -> pl.DataFrame:
    """Add the size that one of the tables declares; what that one does not have has none."""
    of_size = next((table for table in tables if table.size), None)
    if of_size is None:
        return found.with_columns(pl.lit(0.0).alias(_SIZE))
    sizes = rows[of_size.name].select(pl.col(of_size.size).cast(pl.Float64).alias(_SIZE), **_keys(of_size))
    return found.join(sizes, on=found.columns, how="left", nulls_equal=True)


def _ranked(sized: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """Put the largest first: those that were shown count for a little more, and come first among equals."""
    labels = [name for name in sized.columns if name != _SIZE]
    shown = (sized.select(labels).clear() if before is None else before).with_columns(pl.lit(value=True).alias(SHOWN))
    marked = sized.join(shown, on=labels, how="left", nulls_equal=True).with_columns(_IS_SHOWN)
    size = pl.col(_SIZE) * pl.when(SHOWN).then(LARGER).otherwise(1.0)
    first = [True, True, *(False for _ in labels)]
    return marked.sort(size, SHOWN, *labels, descending=first, nulls_last=True).select(labels)


def _marked(table: Table, frame: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Tell of each row whether it is shown."""
    marks = shown.select(pl.col(label).alias(column) for label, column in table.labels.items())
    marks = marks.with_columns(pl.lit(value=True).alias(SHOWN))
    keys = list(table.labels.values())
    return frame.join(marks, on=keys, how="left", nulls_equal=True, maintain_order="left").with_columns(_IS_SHOWN)


def _with_series(marked: pl.DataFrame, counts: Mapping[str, Count]) -> pl.DataFrame:
    """Keep the rows that are shown; a counter that was folded before has no value there."""
    own = [pl.when(each.own).then(name).alias(name) for name, each in counts.items()]
    return marked.with_columns(own).filter(SHOWN).drop(SHOWN)


def _rests(table: Table, marked: pl.DataFrame, counts: Mapping[str, Count]) -> Mapping[str, Rest]:
    rests = {name: Rest(each.others, each.folded) for name, each in counts.items()}
    hidden = marked.filter(~pl.col(SHOWN))
    for column in table.columns:
        if column.sample and column.name not in counts:
            rests[column.name] = _rest(hidden, column, column.sample)
    return rests


def _rest(hidden: pl.DataFrame, column: Column, sample: Sample) -> Rest:
    """Add up what is known of the rows that are not shown; what does not add up is left out."""
    needed = {column.name, *_labels(sample), *filter(None, (sample.where,))}
    known = hidden.select(needed).filter(sample.is_shown(column.name))
    value, folds = pl.col(column.name), sample.family.folds
    # Lists, which a histogram has, do not add up, not even none of them.
    value = value if folds and not sample.constant else value.is_not_null().cast(pl.Int64)
    others = known if folds else known.clear()
    return Rest(add_up(others, _labels(sample), total(value).alias(VALUE)), known.height)


def _counts(table: Table, marked: pl.DataFrame, before: Folded) -> Mapping[str, Count]:
    """Count what the counters of a table count; at the first time, all rows had series before."""
    made = {}
    for column in table.columns:
        if column.sample and column.sample.family.type == "counter":
            labels, values = _labels(column.sample), _values(table, marked, column, column.sample)
            known = before.counted.get((table.name, column.name))
            if known is None:
                last = _on_page(table, before.whole.get(table.name, marked.clear()))
                last = last.with_columns(pl.lit(value=True).alias(SHOWN))
                known = remember(_values(table, last, column, column.sample), labels)
            made[column.name] = count(values, labels, known)
    return made


def _values(table: Table, frame: pl.DataFrame, column: Column, sample: Sample) -> pl.DataFrame:
    value = pl.when(sample.is_shown(column.name)).then(pl.col(column.name).cast(pl.Float64))
    return frame.select(*table.labels.values(), *_labels(sample), SHOWN, value.alias(VALUE))


def _labels(sample: Sample) -> list[str]:
    return list(dict.fromkeys(sample.label_columns.values()))
