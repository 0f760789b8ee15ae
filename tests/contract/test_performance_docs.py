"""docs/performance.md is what the bench writes: its rows are those that are measured, by the targets that are set."""

import re
from pathlib import Path
from xml.etree import ElementTree

from tests.bench.measures import MEASURES
from tests.bench.page import PAGE, PICTURE
from tests.bench.report import target_of

ROOT = Path(__file__).parents[2]


def test_the_page_has_every_row_with_its_target() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.search(r"\| (yes|no|–) \|$", line)]
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [(cells[0], cells[4]) for cells in found] == [(each.name, target_of(each)) for each in MEASURES]


def test_the_page_says_how_each_is_measured_when_where_and_by_which_edition() -> None:
    page = " ".join(PAGE.read_text().split())
    assert [each.name for each in MEASURES if f"- **{each.name}**: {each.how}." not in page] == []
    assert re.search(r"Measured on \d{4}-\d\d-\d\d with \d\S* \(\S+\) on \d+ × .*, \d+ GB, Python 3\.", page)


def test_the_picture_is_one() -> None:
    assert ElementTree.parse(PICTURE).getroot().tag == "{http://www.w3.org/2000/svg}svg"
