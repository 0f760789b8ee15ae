"""How an exporter tells the GPUs of a job on a node apart."""

import polars as pl

from aggregator.sources.prometheus.exporter import Provides


def gpu_names(labels: pl.DataFrame, provides: Provides) -> pl.DataFrame:
    """Read the labels of GPUs, "" where a series has none: the column `gpu`, and whether it is a MIG slice.

    In dcgm-exporter a slice has its board's UUID.
    """
    first, *others = provides.gpu_labels
    named = pl.col(first)
    if others:
        named = pl.coalesce(
            *(pl.when(pl.col(label) != "").then(pl.col(label)) for label in provides.gpu_labels), pl.lit("")
        )
    is_mig = named.str.starts_with("MIG-")
    if not provides.slice:
        return labels.select(gpu=named, is_slice=is_mig)
    within = pl.col(provides.slice)
    of_board = pl.concat_str(named, within, separator="/")
    return labels.select(
        gpu=pl.when((within != "") & ~is_mig).then(of_board).otherwise(named), is_slice=is_mig | (within != "")
    )
