"""What runs have used by TRES in a span of time, as slurmdbd would roll it up."""

from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from aggregator.model.job_inputs import Runs
from aggregator.model.tres import LICENSE

GPU: Final = "gres/gpu"
NODE: Final = "node"
# What every run is given some of: the TRES, and its column of RUNS.
_GRANTED: Final = {
    "cpu": "granted_cpus",
    "mem": "granted_memory_bytes",
    NODE: "granted_nodes",
    "billing": "granted_billing",
    GPU: "granted_gpus",
}


def with_ended(runs: Runs, ended: Runs) -> Runs:
    """Give each run once: one that has ended since its row was read, as it ended."""
    new = ended.runs.select(runs.runs.columns)
    return Runs(pl.concat([new, runs.runs.join(new, on="run_id", how="anti")]))


def granted_tres(runs: Runs) -> pl.DataFrame:
    """Give what each run was given: run_id, tres, amount (memory in bytes), of what it was given anything of.

    The generic gres/gpu includes every type, as Slurm's does.
    """
    wide = runs.runs.select("run_id", **{tres: pl.col(column) for tres, column in _GRANTED.items()})
    every = wide.unpivot(index="run_id", variable_name="tres", value_name="amount")
    return pl.concat([every, _by_name(runs)]).filter(pl.col("amount") > 0)


def granted_columns(runs: Runs, tres: Collection[str]) -> Sequence[pl.Series]:
    """Give what each run was given of some TRES, in a column of each that any was given; null or 0 is nothing."""
    every = [runs.runs[column].alias(name) for name, column in _GRANTED.items() if name in tres]
    named = _by_name(runs).filter(pl.col("tres").is_in(list(tres)))
    if named.is_empty():
        return every
    wide = named.pivot("tres", index="run_id", values="amount", aggregate_function="sum")
    found = runs.runs.select("run_id").join(wide, on="run_id", how="left", maintain_order="left")
    return [*every, *found.drop("run_id")]


def _by_name(runs: Runs) -> pl.DataFrame:
    """Give what each run was given that has a name of its own: run_id, tres, amount."""
    gpus = runs.gpus.filter(pl.col("gpu_type") != "")
    return pl.concat([
        gpus.select("run_id", tres=pl.lit(f"{GPU}:") + pl.col("gpu_type"), amount="count"),
        runs.licenses.select("run_id", tres=pl.lit(LICENSE) + pl.col("license"), amount="count"),
    ])  # fmt: skip


def used_between(runs: Runs, begin: float, end: float) -> pl.DataFrame:
    """Give what each run has used in [begin, end): run_id, tres, seconds (TRES × seconds).

    Suspension stops the CPUs only.
    """
    ran = runs.runs.select(
        "run_id",
        ran=pl.min_horizontal("end", pl.lit(end)) - pl.max_horizontal("start", pl.lit(begin)),
        # Of an earlier suspension nobody knows when it was.
        suspended=pl.when(pl.col("state") == "suspended").then("suspended_seconds").otherwise(0.0),
        has_started=pl.col("start").is_not_null(),
    ).filter(pl.col("has_started") & (pl.col("ran") > 0))
    stopped = pl.when(pl.col("tres") == "cpu").then(pl.min_horizontal("suspended", "ran")).otherwise(0.0)
    held = granted_tres(runs).join(ran, on="run_id")
    return held.select("run_id", "tres", seconds=pl.col("amount") * (pl.col("ran") - stopped))
