"""Which of two exporters' views of a job's GPUs on a node is believed."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from aggregator.sources.prometheus.exporters import dcgm_exporter, nvidia_gpu_exporter
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import job_ids

# What is read of the exporters that name the jobs of GPUs, now and over a ledger window; the last one wins.
NOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": nvidia_gpu_exporter.OF_JOBS,
    "dcgm_exporter": dcgm_exporter.OF_JOBS,
}
WINDOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": nvidia_gpu_exporter.WINDOW_OF_JOBS,
    "dcgm_exporter": dcgm_exporter.WINDOW_OF_JOBS,
}
# The labels of every release that name the job and the GPU.
_LABELS: Final = ("hpc_job", "UUID", "uuid", "gpu", "GPU_I_ID")


def labels_of(settings: ExporterSettings) -> Mapping[str, str]:
    """Give the site's name of each label that `named_gpus` reads."""
    return {label: settings.label(label) for label in _LABELS}


def named_gpus(labels: pl.DataFrame) -> pl.DataFrame:
    """Read the labels of dcgm-exporter or nvidia_gpu_exporter, "" where a series has none.

    Gives job_id (null: no number), gpu, which tells a job's GPUs on a node apart, and whether it is a MIG slice: in
    dcgm-exporter a slice has its board's UUID.
    """
    uuid, instance = _first_of("UUID", "uuid", "gpu"), pl.col("GPU_I_ID")
    is_mig, has_instance = uuid.str.starts_with("MIG-"), instance != ""
    of_board = pl.concat_str(uuid, instance, separator="/")
    return labels.select(
        job_ids(labels["hpc_job"]).alias("job_id"),
        gpu=pl.when(has_instance & ~is_mig).then(of_board).otherwise(uuid),
        is_slice=is_mig | has_instance,
    )


def _first_of(*labels: str) -> pl.Expr:
    """Give the first of some labels that a series has, "" for none."""
    return pl.coalesce(*(pl.when(pl.col(label) != "").then(pl.col(label)) for label in labels), pl.lit(""))


def prefer(named: pl.DataFrame, others: pl.DataFrame, of: Sequence[str], value: str) -> pl.DataFrame:
    """Take, of each job on each node (the columns `of`), the GPUs that name their job, unless others know of more.

    A GPU is known of whose `value` is not null.
    """
    known = pl.col(value).count()
    better = (
        named.group_by(of)
        .agg(named=known)
        .join(others.group_by(of).agg(others=known), on=of, how="left")
        .filter(pl.col("named") >= pl.max_horizontal(1, "others"))
    )
    return pl.concat([others.join(better, on=of, how="anti"), named.join(better, on=of, how="semi")])
