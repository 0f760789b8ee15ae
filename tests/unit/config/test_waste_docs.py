"""docs/waste.md says what the shipped rules and the fields are, and every key of a rule."""

import re
from pathlib import Path

import pytest

from aggregator.config import active_rules, format_duration, format_size, load_rules
from aggregator.config.schema import Exemption
from aggregator.config.waste import RuleSection
from aggregator.model.waste import FIELDS, Condition, Rule

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "waste.md").read_text()
SHIPPED = active_rules(load_rules())


def threshold(condition: Condition) -> str:
    match FIELDS[condition.field].unit:
        case "seconds":
            return format_duration(condition.threshold)
        case "bytes":
            return format_size(int(condition.threshold))
        case _:
            return f"{condition.threshold:g}"


def cell(conditions: tuple[Condition, ...]) -> str:
    return ", ".join(f"`{each.field} {each.operator} {threshold(each)}`" for each in conditions)


def row(rule: Rule) -> str:
    levels = {level.severity: cell(level.conditions) for level in rule.levels}
    unless = ", ".join(f"`{name}`" for name in sorted(rule.unless))
    cells = (f"[`{rule.name}`](#{rule.name})", cell(rule.conditions), levels["warning"], levels["critical"], unless)
    return "| " + " | ".join(cells) + " |"


def rows(heading: str) -> list[str]:
    """Give the rows of the first table below a heading."""
    below = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in below.splitlines() if line.startswith("| ")][1:]


def test_the_table_of_rules_is_what_is_shipped() -> None:
    assert rows("The shipped rules") == [row(rule) for rule in SHIPPED]


def test_the_table_of_fields_is_what_conditions_may_name() -> None:
    assert rows("The fields") == [
        f"| `{name}` | {field.unit} | {field.meaning} |" for name, field in FIELDS.items()
    ]  # fmt: skip


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.name)
def test_every_rule_leads_to_its_part_of_the_page(rule: Rule) -> None:
    assert rule.documentation == f"docs/waste.md#{rule.name}"
    assert f"\n### {rule.name}\n" in PAGE
    assert rule.fix


def test_shipped_rules_judge_from_half_an_hour_and_four_fifths_on() -> None:
    assert {(rule.minimum_runtime, rule.coverage) for rule in SHIPPED} == {(1800.0, 0.8)}


def test_every_key_of_a_rule_is_documented() -> None:
    documented = set(re.findall(r"\b([a-z_]+): ", PAGE))
    assert {*RuleSection.model_fields, *Exemption.model_fields, "field", "operator", "threshold"} <= documented


def test_the_example_is_valid_and_changes_what_it_says() -> None:
    rules = {rule.name for rule in active_rules(load_rules(ROOT / "docs" / "examples" / "waste.yml"))}
    assert rules ^ {rule.name for rule in SHIPPED} == {"gpu_low_utilization", "large_and_idle"}
