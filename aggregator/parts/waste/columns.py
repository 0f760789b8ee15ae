"""The table `waste`: a row for each rule that holds for a run."""

from typing import Final

import polars as pl

from aggregator.engine.column import Family, Sample
from aggregator.model.waste import SEVERITIES
from aggregator.parts.jobs.declare import fact, table_of_runs

# The worst is the greatest.
SEVERITY: Final = pl.Enum(SEVERITIES[::-1])
_HOLDS: Final = Family(
    name="hpc_job_waste",
    help="1 while a rule of waste holds at this severity; no sample does not mean no waste (docs/waste.md).",
    cost="running jobs × rules that hold", source="rules of waste", labels=("reason", "severity"),
)  # fmt: skip
_SHOWN: Final = Sample(family=_HOLDS, label_columns={"reason": "reason", "severity": "severity"}, constant=True)
WASTE: Final = table_of_runs("waste", "finding", (
    fact("reason", pl.String, "The rule."),
    fact("severity", SEVERITY, "The worst severity that is sure.", sample=_SHOWN),
    fact("value", pl.Float64, "Value of the field that the deciding condition compares."),
    fact("coverage", pl.Float64, "Share of that value that was observed."),
))  # fmt: skip
