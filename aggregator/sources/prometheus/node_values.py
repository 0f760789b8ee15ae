"""Values of jobs on nodes: an instant vector with the labels `job` and `node`, as NODE_VALUES."""

from collections import Counter

import polars as pl

from aggregator.sources.job_numbers import SLUID, JobNumbers
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.vector import each_once


def values_of_nodes(
    item: Expression,
    name: str,
    vector: pl.DataFrame,
    nodes: NodeNames,
    rejected: Counter[str],
    numbers: JobNumbers,
) -> pl.DataFrame:
    """Give an input's plausible values as NODE_VALUES."""
    rows = jobs_of(vector, nodes, rejected, numbers).with_columns(plausible(item, name, vector, rejected))
    # Two label values that mean one node (a port changed) are one node: the larger has it all. What has one row is left
    # where it is, for inputs that are answered in one order are joined together.
    known, is_several = rows.drop_nulls(), pl.col("job_id").is_duplicated()
    several = known.filter(is_several).group_by("job_id", "node", maintain_order=True).agg(pl.col("value").max())
    return pl.concat([known.filter(~is_several).select(several.columns), several])


def jobs_of(vector: pl.DataFrame, nodes: NodeNames, rejected: Counter[str], numbers: JobNumbers) -> pl.DataFrame:
    """Give a vector with job_id, null where it is none that is known, and with the names of nodes."""
    of_jobs = numbers.of(vector["job"]).alias("job_id")
    if of_jobs.null_count():
        is_sluid = vector["job"].filter(of_jobs.is_null()).str.contains(SLUID)
        for reason, count in (
            ("SLUID is of no known job", is_sluid.sum()),
            ("job id is not a number", (~is_sluid).sum()),
        ):
            rejected.update({reason: count} if count else {})
    return vector.select(of_jobs, nodes_of(vector, nodes), pl.exclude("job", "node"))


def nodes_of(vector: pl.DataFrame, nodes: NodeNames) -> pl.Series:
    """Give the names of a vector's nodes."""
    return each_once(vector["node"], nodes.normalize)


def plausible(item: Expression, name: str, vector: pl.DataFrame, rejected: Counter[str]) -> pl.Series:
    """Give the values of a vector in their base unit; one that cannot be is null, and counted by the input's name."""
    values = item.plausible_values(vector["value"]).alias("value")
    _count(rejected, f"{name} out of range", values)
    return values


def _count(rejected: Counter[str], reason: str, values: pl.Series) -> None:
    if values.null_count():
        rejected[reason] += values.null_count()
