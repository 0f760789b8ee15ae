"""How many files are how large: Robinhood's size profile."""

from typing import Final

import polars as pl

BINS: Final = 10


def size_profile(is_file: pl.Expr) -> pl.Expr:
    """Make the cumulative size profile of a group of entries; null where the bins do not sum to the count.

    Robinhood 2.5 to 3.1 miscount the bin of empty files, which shows in that sum.
    """
    bins = [pl.col("size_bins").list.get(number, null_on_oob=True).filter(is_file).sum() for number in range(BINS)]
    is_whole = (pl.col("size_bins").list.len() == BINS).filter(is_file).all()
    adds_up = pl.sum_horizontal(bins) == pl.col("inodes").filter(is_file).sum()
    cumulative = [pl.sum_horizontal(bins[: number + 1]) for number in range(BINS)]
    return pl.when(is_whole & adds_up).then(pl.concat_list(cumulative))
