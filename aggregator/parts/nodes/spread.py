"""How much of each node does each run hold?

slurmacct says what a run holds altogether and on which nodes. A run of one node holds it all there. One of several is
spread evenly over them, as far as the others leave room: no node is given more than it has.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

import polars as pl

from aggregator.engine.column import schema

# One run on one of its nodes: what it holds there. is_estimated: it is on several nodes.
PARTS: Final = schema(
    {
        "run_id": pl.UInt64,
        "node": pl.String,
        "cpus": pl.Float64,
        "memory_bytes": pl.Float64,
        "gpus": pl.Float64,
        "is_estimated": pl.Boolean,
    }
)
_AMOUNTS: Final = ("cpus", "memory_bytes", "gpus")


def spread(runs: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Give what each run holds of each of its nodes: PARTS.

    runs has run_id, the nodes, and what the run holds in all: cpus, memory_bytes (null where Slurm does not
    manage it) and gpus. sizes has the same of each node. Null is what is not known. The parts of a run add up to it,
    unless its nodes are too small for all that is on them.
    """
    count = pl.col("nodes").list.len()
    is_estimated = pl.col("is_estimated")
    held = _distinct(runs).with_columns(pl.col(_AMOUNTS).cast(pl.Float64), is_estimated=count > 1)
    whole = held.filter(~is_estimated & (count == 1)).explode("nodes", empty_as_null=True).rename({"nodes": "node"})
    # What leaves the fewest choices comes first.
    several = held.filter(is_estimated).sort(pl.col("cpus") / count, descending=True, maintain_order=True)
    rooms = _rooms(several, whole, sizes)
    shares = {name: _shares(several, name, rooms) for name in _AMOUNTS}
    placed = several.select("run_id", "nodes", "is_estimated", *_AMOUNTS).explode("nodes", empty_as_null=True)
    parts = placed.rename({"nodes": "node"}).with_columns(
        pl.when(pl.col(name).is_not_null()).then(share).alias(name) for name, share in shares.items()
    )
    return pl.concat([whole.select(PARTS.names()), parts.select(PARTS.names())])


def _distinct(runs: pl.DataFrame) -> pl.DataFrame:
    """Name each node of a run once; to look at lists of one node would take longest."""
    lists = pl.col("nodes").list
    several = runs.filter(lists.len() > 1).with_columns(lists.unique(maintain_order=True))
    return pl.concat([runs.filter(lists.len() <= 1), several])


def _rooms(several: pl.DataFrame, whole: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Give what the runs of one node leave of the nodes of the others; without bound where a size is not known."""
    nodes = several.select(node=pl.col("nodes").list.explode(empty_as_null=True)).unique()
    taken = whole.group_by("node").agg(pl.col(_AMOUNTS).sum().name.prefix("taken_"))
    found = nodes.join(sizes, on="node", how="left").join(taken, on="node", how="left")
    left = (
        (pl.col(name).fill_null(inf) - pl.col(f"taken_{name}").fill_null(0.0)).clip(lower_bound=0.0).alias(name)
        for name in _AMOUNTS
    )
    return found.select("node", *left)


def _shares(several: pl.DataFrame, amount: str, rooms: pl.DataFrame) -> pl.Series:
    """Divide an amount of runs of several nodes over these: a value per run and node, in their order.

    Where every node has room for the even shares of all that are on it, these are the answer: nearly always.
    """
    held = several.select("nodes", total=pl.col(amount).fill_null(0.0))
    even = held.with_columns(share=pl.col("total") / pl.col("nodes").list.len()).explode("nodes", empty_as_null=True)
    wanted = even.group_by("nodes").agg(pl.col("share").sum()).rename({"nodes": "node"})
    if wanted.join(rooms, on="node").filter(pl.col("share") > pl.col(amount)).is_empty():
        return even["share"]
    return pl.Series(_in_turn(held, dict(rooms.select("node", amount).iter_rows())), dtype=pl.Float64)


def _in_turn(held: pl.DataFrame, rooms: dict[str, float]) -> list[float]:
    """Divide what each run holds, and take it from the rooms of its nodes, one run after the other."""
    shares: list[float] = []
    for nodes, total in held.iter_rows():
        found = _fill(total, [rooms[node] for node in nodes])
        for node, share in zip(nodes, found, strict=True):
            rooms[node] = max(0.0, rooms[node] - share)
        shares += found
    return shares


def _fill(total: float, rooms: Sequence[float]) -> list[float]:
    """Divide an amount evenly over rooms, what is too much for one over the others."""
    shares, left = [0.0] * len(rooms), total
    empty = list(range(len(rooms)))
    while empty and left > 0:
        each = left / len(empty)
        full = [place for place in empty if rooms[place] < each]
        for place in full or empty:
            shares[place] = min(rooms[place], each)
            left -= shares[place]
        if not full:
            break
        empty = [place for place in empty if place not in full]
    return shares
