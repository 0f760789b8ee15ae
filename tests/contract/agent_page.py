"""docs/jobscripts-reference.md, written from the agent's parser, its metrics and its table of rules."""

from collections.abc import Iterator

import yaml

from jobscript_ingest.cli import _parser
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.spool import SpoolStatus
from tests.contract.commands_page import row
from tests.contract.named_tests import ROOT

_HEAD = """# The agent's flags, metrics and rules

This page is generated from the agent (`pytest tests/contract --update-golden` writes it anew; a test compares them).
It is for administrators of slurmctld's host. How to install the agent and what its rules are worth:
[Collect job scripts](jobscripts.md).

## Flags

| flag | meaning |
|---|---|"""


def agent_page() -> str:
    """Write the page."""
    flags = (row(each) for each in _parser()._actions if each.dest != "help")
    return "\n".join([_HEAD, *flags, *_metrics(), *_rules(), ""])


def _metrics() -> Iterator[str]:
    yield "\n## Metrics\n\n| metric | meaning |\n|---|---|"
    metrics = AgentMetrics(["netrc"], lambda: SpoolStatus(0, 0, 0, None))
    metrics.refused.labels("http_413")
    for family in metrics.registry.collect():
        if family.name.startswith("hpc_"):
            labels = ", ".join(sorted({label for sample in family.samples for label in sample.labels}))
            name = family.name + ("_total" if family.type == "counter" else "")
            yield f"| `{name}{{{labels}}}` | {family.documentation} |".replace("{}`", "`")


def _rules() -> Iterator[str]:
    yield "\n## Rules\n\n| rule | hides |\n|---|---|"
    table = yaml.safe_load((ROOT / "jobscript_ingest" / "redaction.yml").read_text())
    for name, rule in table["rules"].items():
        about = " ".join(rule["about"].split()).replace("|", "\\|")
        yield f"| `{name}` | {about} |"
