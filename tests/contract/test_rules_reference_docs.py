"""docs/rules-reference.md has every alert and every recorded series."""

import re

import pytest

from tests.contract.rules_page import meaning_of, rules_page, text_of
from tests.rules.files import alerts, rules


def test_each_rule_has_one_row() -> None:
    listed = re.findall(r"^\| `([\w:]+)`", rules_page(), re.MULTILINE)
    assert sorted(listed) == sorted({rule.get("record") or rule["alert"] for rule in rules()})


@pytest.mark.parametrize("record", [rule["record"] for rule in rules("recording")])
def test_each_recorded_series_has_a_meaning(record: str) -> None:
    assert meaning_of(record)


def test_a_text_names_what_prometheus_puts_in() -> None:
    assert text_of("{{ $value | humanizePercentage }} of {{ $labels.cluster }}{{ $labels.filesystem }}.") == (
        "*value* of *cluster* or *filesystem*."
    )
    assert not [rule["alert"] for rule in alerts() if re.search(r"[{}$]", text_of(rule["annotations"]["summary"]))]
