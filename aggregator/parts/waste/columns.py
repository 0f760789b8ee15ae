"""The table `waste`: a row for each rule that holds for a run."""

from typing import Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.model.waste import SEVERITIES

# The worst is the greatest.
SEVERITY: Final = pl.Enum(SEVERITIES[::-1])
_HOLDS: Final = Family(
    name="hpc_job_waste",
    help="1 while a rule of waste holds at this severity; no sample does not mean no waste (docs/waste.md).",
    cost="running jobs × rules that hold", source="rules of waste", labels=("reason", "severity"),
)  # fmt: skip
_SHOWN: Final = Sample(family=_HOLDS, label_columns={"reason": "reason", "severity": "severity"}, constant=True)
# What a finding has of the run in `jobs`.
OF_RUN: Final = ("run_id", "job_id", "user", "account", "is_owner")
WASTE: Final = Table(
    name="waste", of="finding", collect="jobs", labels={"slurmjobid": "job_id", "user": "user", "account": "account"},
    columns=(
        Column(name="run_id", dtype=pl.UInt64, help="Key of the run."),
        Column(name="job_id", dtype=pl.Int64, help="Numeric id of the job."),
        Column(name="user", dtype=pl.String, help="Who runs it."),
        Column(name="account", dtype=pl.String, help="The account that is charged."),
        Column(name="is_owner", dtype=pl.Boolean, help="Whether it is the run that is meant by the job id alone."),
        Column(name="reason", dtype=pl.String, help="The rule."),
        Column(name="severity", dtype=SEVERITY, help="The worst severity that is sure.", sample=_SHOWN),
        Column(name="value", dtype=pl.Float64, help="Value of the field that the deciding condition compares."),
        Column(name="coverage", dtype=pl.Float64, help="Share of that value that was observed."),
    ),
    where="is_owner",
)  # fmt: skip
