"""How the columns of jobs are declared."""

from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample

# Of now: a run that has ended has none of it any more.
OPEN: Final = "is_open"
COVERAGE: Final = Family(
    name="hpc_job_coverage_ratio",
    help="Samples seen ÷ expected: nodes with a series, judged GPUs, time that energy rests on, Lustre's targets.",
    cost="3–5 × running jobs", source="slurm-job-exporter; power: the ledger; lustre: lustre_exporter",
    labels=("input",),
)  # fmt: skip


def fact(name: str, dtype: Any, help: str, null: str = "not known", sample: Sample | None = None) -> Column:
    """Declare a column that is in the API."""
    return Column(name=name, dtype=dtype, help=help, null=null, sample=sample)


def gauge(
    name: str,
    help: str,
    source: str,
    *,
    null: str = "not known",
    where: str = "",
    cost: str = "jobs",
    adds_up: bool = True,
) -> Column:
    """Declare a number of each job that is a family of its own: `hpc_job_` and the column's name."""
    family = Family(name=f"hpc_job_{name}", help=help, cost=cost, source=source, adds_up=adds_up)
    return fact(name, pl.Float64, help, null, Sample(family=family, where=where))  # fmt: skip


def coverage_of(name: str) -> str:
    """Give the name of the column that has the coverage of an input."""
    return f"{name}_coverage_ratio"


def coverage(name: str, what: str) -> Column:
    """Declare which share of what an input should say of each job it does say."""
    return fact(
        coverage_of(name), pl.Float64, f"Share of {what}.", "not a job of which it is asked, or not read",
        Sample(family=COVERAGE, labels={"input": name}),
    )  # fmt: skip
