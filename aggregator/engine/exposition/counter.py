"""What the folded rows of a counter count.

Their totals cannot be added up: a row ends, and the sum would go back. So `_other` adds up what rows count while they
are folded, from 0 at the start of the service, and a row has its own series at most once, from one end to the other: a
series that came back would count again what `_other` has counted meanwhile.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

# No names for a column of a table.
VALUE, SHOWN = "_value", "_shown"
_LAST, _OWN, _BEFORE, _INCREASE, _ROWS = "_last", "_own", "_before", "_increase", "_rows"
_RUNS: Final = pl.col(_OWN).fill_null(value=False)


@dataclass(frozen=True, slots=True)
class Counted:
    """What is remembered of a counter: of each row its last value and `own`, and of `_other` its value.

    own is true while a row's series runs, false when it was folded, and null before it had one.
    """

    rows: pl.DataFrame
    others: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Count:
    """A counter now: which rows have a series, what `_other` shows, how many are folded, and what is remembered."""

    own: pl.Series
    others: pl.DataFrame
    folded: int
    memory: Counted


def remember(values: pl.DataFrame, labels: list[str]) -> Counted:
    """Make the memory of a counter whose rows all were shown, from its keys and VALUE."""
    own = pl.when(pl.col(VALUE).is_not_null()).then(True)
    rows = values.with_columns(own.alias(_OWN)).drop(SHOWN).rename({VALUE: _LAST})
    return Counted(rows, values.clear().select(*labels, VALUE))


def count(values: pl.DataFrame, labels: list[str], known: Counted) -> Count:
    """Add what was counted since the last refresh to the others, but for what series of their own show.

    values has the keys of all rows, SHOWN, and VALUE: null where it is not known, in which case the last one holds.
    """
    keys = [name for name in values.columns if name not in (SHOWN, VALUE)]
    rows = values.join(known.rows, on=keys, how="left", nulls_equal=True, maintain_order="left")
    value, last, own = pl.col(VALUE), pl.col(_LAST), pl.col(_OWN)
    begins = own.is_null() & pl.col(SHOWN) & value.is_not_null()
    # What is less than before began anew, as Prometheus sees it.
    increase = pl.when(value >= last).then(value - last).when(value < last).then(value)
    rows = rows.with_columns(
        own.fill_null(value=False).alias(_BEFORE),
        pl.when(own).then(SHOWN).when(begins).then(True).otherwise(own).alias(_OWN),
        increase.alias(_INCREASE),
    )
    # The first sample of a series counts nothing: what its row has counted until then is the others', too.
    of_others = value.is_not_null() & ~(_RUNS & pl.col(_BEFORE)) & (~_RUNS | pl.col(_INCREASE).is_not_null())
    new = rows.filter(of_others).select(*labels, pl.col(_INCREASE).fill_null(0.0).alias(VALUE))
    both = [frame.with_columns(pl.lit(old).alias(_BEFORE)) for frame, old in ((known.others, True), (new, False))]
    others = add_up(pl.concat(both), labels, pl.col(VALUE).sum(), pl.col(_BEFORE).any())
    # So does the first sample of others: they begin at 0.
    shown = others.with_columns(pl.when(_BEFORE).then(VALUE).otherwise(0.0).alias(VALUE)).drop(_BEFORE)
    memory = Counted(rows.select(*keys, pl.coalesce(value, last).alias(_LAST), _OWN), others.drop(_BEFORE))
    return Count(
        rows.select(_RUNS).to_series(), shown, rows.select((value.is_not_null() & ~_RUNS).sum()).item(), memory
    )


def add_up(frame: pl.DataFrame, labels: list[str], *sums: pl.Expr) -> pl.DataFrame:
    """Add up rows by labels, or all together; none of them make no sum."""
    if labels:
        return frame.group_by(labels).agg(sums).sort(labels)
    return frame.select(sums).head(frame.height)
