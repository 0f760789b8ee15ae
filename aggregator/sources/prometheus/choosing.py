"""Which of several exporters is believed of a job on a node: values of two of them are never added up.

Each is asked for all jobs; what is chosen depends on what is there. The frames of one exporter alone are left as they
are.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final

import polars as pl

# By exporter and column: a value by some keys.
ByExporter = Mapping[str, Mapping[str, pl.DataFrame]]
# The column that says which exporter was chosen.
EXPORTER: Final = "exporter"


def choose(
    shown: ByExporter, columns: Sequence[str], order: Sequence[str], keys: Sequence[str]
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame | None]:
    """Take columns that belong together from one exporter for each of the keys.

    That is the one that has the most of them there, the first in `order` of those that have as many. A column that no
    exporter could be asked for is left out. Gives the chosen exporter by keys as well, None where only one has any.
    """
    found = {
        name: {column: frame for column, frame in shown[name].items() if column in columns}
        for name in order
        if name in shown
    }
    there = {name: frames for name, frames in found.items() if frames}
    telling = [name for name, frames in there.items() if any(map(len, frames.values()))]
    if len(telling) < 2:
        return _only(there, telling), None
    chosen = _chosen(there, telling, keys)
    own = {name: chosen.filter(pl.col(EXPORTER) == name).drop(EXPORTER) for name in telling}
    return {
        column: pl.concat(
            there[name][column].join(own[name], on=keys, how="semi") for name in telling if column in there[name]
        )
        for column in columns
        if any(column in frames for frames in there.values())
    }, chosen


def _only(there: ByExporter, telling: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Give the frames of the one that has rows, and of columns that it has not, those of others without any."""
    names = sorted(there, key=lambda name: name in telling)
    return {column: frame for name in names for column, frame in there[name].items()}


def _chosen(there: ByExporter, telling: Sequence[str], keys: Sequence[str]) -> pl.DataFrame:
    """Say whose values are taken: the keys, and the exporter."""
    rows = [
        frame.select(*keys, rank=pl.lit(rank, pl.UInt8))
        for rank, name in enumerate(telling)
        for frame in there[name].values()
    ]
    counted = pl.concat(rows).group_by(*keys, "rank").len()
    best = counted.sort("len", "rank", descending=[True, False]).unique(keys, keep="first", maintain_order=True)
    return best.select(*keys, pl.col("rank").replace_strict(range(len(telling)), telling).alias(EXPORTER))


def choose_gpus(shown: Mapping[str, pl.DataFrame], keys: Sequence[str], value: str) -> pl.DataFrame | None:
    """Take, for each of the keys, the GPUs from the exporter that knows the most, the first in order of several.

    A GPU is known of whose `value` is not null. shown has the exporters in the order in which they are believed. The
    column `exporter` is there where more than one was asked; None where none was.
    """
    if len(shown) < 2:
        return next(iter(shown.values()), None)
    tagged = [frame.with_columns(pl.lit(name).alias(EXPORTER)) for name, frame in shown.items()]
    return reduce(lambda others, first: _prefer(first, others, keys, value), reversed(tagged))


def _prefer(first: pl.DataFrame, others: pl.DataFrame, keys: Sequence[str], value: str) -> pl.DataFrame:
    """Take the GPUs of the first exporter, unless others know of more, or it knows of none."""
    known = pl.col(value).count()
    better = (
        first.group_by(keys)
        .agg(own=known)
        .join(others.group_by(keys).agg(others=known), on=keys, how="left")
        .filter(pl.col("own") >= pl.max_horizontal(1, "others"))
    )
    return pl.concat([others.join(better, on=keys, how="anti"), first.join(better, on=keys, how="semi")])
