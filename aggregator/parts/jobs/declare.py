"""How the columns of jobs are declared."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table

# Of now: a run that has ended has none of it any more.
OPEN: Final = "is_open"
COVERAGE: Final = Family(
    name="hpc_job_coverage_ratio",
    help="Samples seen ÷ expected: nodes with a series, judged GPUs, time that energy rests on, Lustre's targets.",
    cost="3–5 × running jobs", source="slurm-job-exporter; power: the ledger; lustre: lustre_exporter",
    labels=("input",),
)  # fmt: skip


def fact(
    name: str, dtype: Any, help: str, null: str = "not known", sample: Sample | None = None, **made: Any
) -> Column:  # fmt: skip
    """Declare a column that is in the API; made are inputs, promql and coverage of a Column."""
    return Column(name=name, dtype=dtype, help=help, null=null, sample=sample, **made)


def of_input(name: str, columns: Iterable[Column]) -> tuple[Column, ...]:
    """Declare columns that are made of one input."""
    return tuple(replace(column, inputs=(name,)) for column in columns)


_OF_RUN: Final = (
    fact("run_id", pl.UInt64, "Key of the run."),
    fact("job_id", pl.Int64, "Numeric id of the job."),
    fact("user", pl.String, "Who runs it."),
    fact("account", pl.String, "The account that is charged."),
    fact("is_owner", pl.Boolean, "Whether it is the run that is meant by the job id alone."),
)
# What a row about a run has of the run in `jobs`.
OF_RUN: Final = tuple(column.name for column in _OF_RUN)
LABELS: Final = {"slurmjobid": "job_id", "user": "user", "account": "account"}
GPU_TYPE: Final = fact("gpu_type", pl.String, "Slurm's type of the GPUs, empty when untyped.")


def table_of_runs(name: str, of: str, columns: Iterable[Column]) -> Table:
    """Declare a table with a row for each thing that a run has, such as its cost in a currency."""
    return Table(name=name, of=of, collect="jobs", labels=LABELS, columns=(*_OF_RUN, *columns), where="is_owner")


def gauge(
    name: str,
    help: str,
    source: str,
    *,
    null: str = "not known",
    where: str = "",
    cost: str = "jobs",
    adds_up: bool = True,
    **made: Any,
) -> Column:
    """Declare a number of each job that is a family of its own: `hpc_job_` and the column's name."""
    family = Family(name=f"hpc_job_{name}", help=help, cost=cost, source=source, adds_up=adds_up)
    return fact(name, pl.Float64, help, null, Sample(family=family, where=where), **made)


def coverage_of(name: str) -> str:
    """Give the name of the column that has the coverage of an input."""
    return f"{name}_coverage_ratio"


def coverage(name: str, what: str, *inputs: str) -> Column:
    """Declare which share of what an input should say of each job it does say."""
    return fact(
        coverage_of(name), pl.Float64, f"Share of {what}.", "not a job of which it is asked, or not read",
        Sample(family=COVERAGE, labels={"input": name}), inputs=inputs,
    )  # fmt: skip
