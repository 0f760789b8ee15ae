"""The pages written by hand can be read in an afternoon: they say nothing that a generated page says."""

import re
from pathlib import Path

import pytest

from tests.contract.named_tests import ROOT
from tests.contract.test_generated_pages import PAGES as WRITTEN

# The bench writes the last.
GENERATED = {*WRITTEN, "performance"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_HAND = [page for page in PAGES if page.stem not in GENERATED]
MOST_WORDS, MOST_LINES, MOST_COLUMNS = 20_000, 120, 120


def prose(page: Path) -> str:
    """Give what is outside of code blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```\s*$", "", page.read_text())


def words(page: Path) -> int:
    """Count the words of prose and tables, without the addresses of links."""
    return len(re.findall(r"\w[\w./:{}'’-]*", re.sub(r"\]\([^)]*\)", "]", prose(page))))


def test_the_pages_by_hand_are_short() -> None:
    assert sum(map(words, BY_HAND)) <= MOST_WORDS
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.stem)
def test_lines_are_short(page: Path) -> None:
    lines = prose(page).splitlines()
    # A row of a table and an address cannot be broken.
    assert [line for line in lines if len(line) > MOST_COLUMNS and not line.startswith("|") and "](" not in line] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in GENERATED], ids=lambda page: page.stem)
def test_a_generated_page_says_so(page: Path) -> None:
    beginning = page.read_text()[:400]
    assert "generated" in beginning or "writes the page" in beginning
