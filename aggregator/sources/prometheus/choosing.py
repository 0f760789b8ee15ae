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
    exporter could be asked for is left out. Gives the chosen exporter by keys as well, None where only one was asked.
    """
    found = {
        name: {each: shown[name][each] for each in columns if each in shown[name]} for name in order if name in shown
    }
    there = {name: frames for name, frames in found.items() if frames}
    if len(there) < 2:
        return {column: frame for frames in there.values() for column, frame in frames.items()}, None
    chosen = _chosen(there, keys)
    own = {name: chosen.filter(pl.col(EXPORTER) == name).drop(EXPORTER) for name in there}
    return {
        column: pl.concat(
            there[name][column].join(own[name], on=keys, how="semi") for name in there if column in there[name]
        )
        for column in columns
        if any(column in frames for frames in there.values())
    }, chosen


def _chosen(there: ByExporter, keys: Sequence[str]) -> pl.DataFrame:
    """Say whose values are taken: the keys, and the exporter."""
    names = list(there)
    rows = [
        frame.select(*keys, rank=pl.lit(rank, pl.UInt8))
        for rank, name in enumerate(names)
        for frame in there[name].values()
    ]
    counted = pl.concat(rows).group_by(*keys, "rank").len()
    best = counted.sort("len", "rank", descending=[True, False]).unique(keys, keep="first", maintain_order=True)
    return best.select(*keys, pl.col("rank").replace_strict(range(len(names)), names).alias(EXPORTER))


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
