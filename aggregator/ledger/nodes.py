"""Nodes by numbers, and what measures them: their best meter so far."""

from itertools import accumulate, pairwise
from typing import Final

import polars as pl

from aggregator.ledger.frames import column_of
from aggregator.model.readings import Windows

_SIZES: Final = ("cpus", "memory_bytes", "gpus")
_SOUND: Final = [
    *(pl.when(pl.col(size) > 0).then(size).alias(size) for size in _SIZES),
    pl.col("watts").is_not_null().alias("is_measured"),
    pl.when(pl.col("watts").is_not_null()).then(pl.col("meter").to_physical()).alias("own_meter"),
]


def with_numbers(*frames: pl.DataFrame) -> tuple[list[pl.DataFrame], int]:
    """Add to each node a number below a count (node_number), which is found faster than its name; 0 is a null.

    Jobs on nodes get another one (`key`).
    """
    names = pl.concat(frame["node"] for frame in frames).cast(pl.Categorical(pl.Categories.random()))
    numbers = (names.to_physical().cast(pl.Int64) + 1).fill_null(0).alias("node_number")
    count = names.n_unique() + 1
    ends = accumulate(map(len, frames), initial=0)
    numbered = (frame.hstack([numbers[begin:end]]) for frame, (begin, end) in zip(frames, pairwise(ends), strict=True))
    key = pl.col("job_id") * count + pl.col("node_number")
    return [frame.with_columns_seq(key=key) if "job_id" in frame.columns else frame for frame in numbered], count


def with_best_meter(nodes: pl.DataFrame, meters: pl.DataFrame, count: int, windows: Windows) -> pl.DataFrame:
    """Add `place`, the number of the row, and the best meter that has measured each node until each window.

    The rows are in the order of windows; meters has the best ones before them. Where another one measures a node, that
    is a fall-back: it sees less. A size that is not above 0 is taken as not known.
    """
    nodes = nodes.with_columns_seq(_SOUND).with_row_index("place")
    before = column_of(None, count, meters["node_number"], meters["meter"].to_physical())
    best = []
    for begin, end in pairwise(nodes["window"].search_sorted(pl.Series(range(windows.count + 1)), side="left")):
        numbers, own = nodes["node_number"][begin:end], nodes["own_meter"][begin:end]
        best.append(pl.DataFrame([before[numbers].alias("before"), own]).min_horizontal())
        before = before.scatter(numbers, best[-1])
    return nodes.hstack([pl.concat(best).alias("best")]).with_columns_seq(
        is_best_meter=pl.col("own_meter") == pl.col("best")
    )
