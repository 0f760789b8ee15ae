"""docs/jobscripts.md names what there is, and nothing else."""

import re

import pytest

from jobscript_ingest.cli import _parser
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.redact import redact
from jobscript_ingest.rules import load_rules
from tests.unit.jobscript_ingest.process import ROOT

TEXT = (ROOT / "docs" / "jobscripts.md").read_text()


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_documented_flags_are_those_of_the_command() -> None:
    flags = {text for action in _parser()._actions for text in action.option_strings} - {"-h", "--help"}

    assert (
        set(re.findall(r"`(--[a-z.-]+)`", "".join(re.findall(r"^\| `--.*?\|", section("Flags"), re.MULTILINE))))
        == flags
    )


def test_the_documented_defaults_are_those_of_the_command() -> None:
    rows = dict(re.findall(r"^\| `(--[a-z.-]+)` \| (\S+) \|", section("Flags"), re.MULTILINE))
    defaults = {action.option_strings[0]: action.default for action in _parser()._actions}

    assert len(rows) > 5
    for flag, default in rows.items():
        assert default in (str(defaults[flag]), "required", "none"), flag


def test_the_documented_rules_are_the_shipped_ones() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", section("What is hidden"), re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"\w+", row)} == {rule.name for rule in load_rules()}


@pytest.mark.parametrize("text", ["X=hunter2", "PASS=sesame", "login.sh hunter2", "PASSWORD=$(echo hunter2)"])
def test_what_is_said_not_to_be_hidden_is_not(text: str) -> None:
    assert redact(text.encode(), load_rules(), 100).total == 0


def test_the_documented_metrics_are_the_agents(metrics: AgentMetrics) -> None:
    documented = set(re.findall(r"`(hpc_jobscript_ingest_\w+)", section("Metrics").partition("Worth an alert")[0]))

    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
        if family.name.startswith("hpc_")
    }
    assert documented == names
