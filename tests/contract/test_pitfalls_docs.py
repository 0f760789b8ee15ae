"""docs/pitfalls.md has every pitfall, and the tests that it names exist."""

import re

from tests.contract.named_tests import ROOT, existing, named

PAGE = ROOT / "docs" / "pitfalls.md"
PITFALLS = 42


def items() -> dict[int, str]:
    """Give the text of each numbered item."""
    numbered = PAGE.read_text().split("## The engines")[0]
    found = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", numbered, re.MULTILINE | re.DOTALL)
    assert len({number for number, _ in found}) == len(found), "a number is there twice"
    return {int(number): text for number, text in found}


def test_every_pitfall_has_its_number() -> None:
    assert list(items()) == list(range(1, PITFALLS + 1))


def test_each_has_a_test_or_says_why_it_does_not_apply() -> None:
    silent = [number for number, text in items().items() if not named(text) and "Does not apply" not in text]
    assert silent == []


def test_the_tests_that_are_named_exist() -> None:
    assert named(PAGE.read_text()) - existing() == set()
