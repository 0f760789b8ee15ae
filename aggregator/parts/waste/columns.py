"""The tables `waste` (a row for each rule that holds for a run) and `waste_rules`."""

from typing import Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
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
_WORDS: Final = Family(
    name="hpc_waste_rule_info", help="What a rule of waste tells people, always 1; each text cut to 200 bytes.",
    cost="rules", source="rules of waste", labels=("reason", "resource", "message", "fix", "documentation"),
)  # fmt: skip
_SAID: Final = {name: name for name in _WORDS.labels}
WASTE: Final = table_of_runs("waste", "finding", (
    fact("reason", pl.String, "The rule."),
    fact("severity", SEVERITY, "The worst severity that is sure.", sample=_SHOWN),
    fact("value", pl.Float64, "Value of the field that the deciding condition compares."),
    fact("coverage", pl.Float64, "Share of that value that was observed."),
))  # fmt: skip
WASTE_RULES: Final = Table(name="waste_rules", of="rule", collect="jobs", labels={}, columns=(
    Column(name="reason", dtype=pl.String, help="The rule.", sample=Sample(
        family=_WORDS, label_columns=_SAID, constant=True)),
    Column(name="resource", dtype=pl.String, help="What is wasted: cpu, memory or gpu."),
    Column(name="message", dtype=pl.String, help="What is wrong."),
    Column(name="fix", dtype=pl.String, help="What to do about it.", null="not said"),
    Column(name="documentation", dtype=pl.String, help="An address or a page.", null="not said"),
))  # fmt: skip
