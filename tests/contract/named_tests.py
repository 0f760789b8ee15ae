"""The tests that a page names, and those that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named(text: str) -> set[str]:
    """Give the names of tests that a text has in backticks."""
    return set(re.findall(r"`(test_\w+)`", text))


def existing() -> set[str]:
    """Give the names of all tests."""
    files = ROOT.joinpath("tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
