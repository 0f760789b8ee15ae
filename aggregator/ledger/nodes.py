"""Nodes by numbers, and what measures them: their best meter so far."""

from itertools import accumulate, pairwise
from typing import Final

import polars as pl

from aggregator.model.readings import Windows

_SIZES: Final = ("cpus", "memory_bytes", "gpus")
_SOUND: Final = [
    *(pl.when(pl.col(size) > 0).then(size).alias(size) for size in _SIZES),
    pl.col("watts").is_not_null().alias("is_measured"),
    pl.when(pl.col("watts").is_not_null()).then(pl.col("meter").to_physical()).alias("own_meter"),
]


def numbers_of(*nodes: pl.Series) -> tuple[list[pl.Series], int]:
    """Give each node of these a number below a count, which is found faster than its name; 0 is one that is null."""
    names = pl.concat(nodes).cast(pl.Categorical(pl.Categories.random()))
    numbers = (names.to_physical().cast(pl.Int64) + 1).fill_null(0).alias("node_number")
    ends = accumulate(map(len, nodes), initial=0)
    return [numbers[begin:end] for begin, end in pairwise(ends)], (numbers.max() or 0) + 1


def with_best_meter(nodes: pl.DataFrame, before: pl.Series, windows: Windows) -> pl.DataFrame:
    """Add `place`, the number of the row, and the best meter that has measured each node until each window.

    The rows are in the order of windows; before has the best meter of each node before them, by node_number. Where
    another one measures a node, that is a fall-back: it sees less. A size that is not above 0 is taken as not known.
    """
    nodes = nodes.with_columns(_SOUND).with_row_index("place")
    best = []
    for begin, end in pairwise(nodes["window"].search_sorted(pl.Series(range(windows.count + 1)), side="left")):
        numbers, own = nodes["node_number"][begin:end], nodes["own_meter"][begin:end]
        best.append(pl.DataFrame([before[numbers].alias("before"), own]).min_horizontal())
        before = before.scatter(numbers, best[-1])
    return nodes.hstack([pl.concat(best).alias("best")]).with_columns(
        is_best_meter=pl.col("own_meter") == pl.col("best")
    )
