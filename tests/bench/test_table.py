"""The rows of the table: ratios, targets, what is not known, and what becomes of them on paper."""

import json
from xml.etree import ElementTree

import pytest

from tests.bench.chart import draw
from tests.bench.figures import Figure, Measure, Point, Ratio, Row, Target
from tests.bench.measures import MEASURES
from tests.bench.page import render
from tests.bench.report import Result, number
from tests.bench.sizes import QUICK, Sizes

CURVE = [Point(100, 150, 3000, 0.0, 90.0, 0.1), Point(300, 400, 9000, 0.25, 120.0, 0.3)]


def measure(ratio: Ratio, sign: str, bound: float) -> Measure:
    return Measure(key="x", name="x", unit="s", target=Target(sign, bound), reference="y", ratio=ratio, how="z")


@pytest.mark.parametrize(
    ("ratio", "sign", "bound", "ours", "reference", "found", "met"),
    [
        (Ratio.TIMES_FASTER, "≥", 30, 0.1, 4.0, 40.0, True),
        (Ratio.TIMES_FASTER, "≥", 30, 1.0, 4.0, 4.0, False),
        (Ratio.SHARE, "≤", 0.5, 300.0, 200.0, 1.5, False),
        (Ratio.SHARE, "≥", 0.3, 300.0, 1000.0, 0.3, True),
        (Ratio.NONE, "<", 5, 4.9, None, None, True),
        (Ratio.NONE, "<", 5, 5.0, None, None, False),
        (Ratio.NONE, "≤", 0, 0.0, None, None, True),
    ],
)
def test_a_target_is_of_the_ratio_where_there_is_one(
    ratio: Ratio, sign: str, bound: float, ours: float, reference: float | None, found: float | None, met: bool
) -> None:
    row = Row(measure(ratio, sign, bound), Figure(ours, reference))
    assert row.ratio == (None if found is None else pytest.approx(found))
    assert row.met is met


@pytest.mark.parametrize("figure", [Figure(), Figure(1.0), Figure(None, 1.0), Figure(0.0, 1.0)])
def test_without_both_figures_a_target_is_neither_met_nor_missed(figure: Figure) -> None:
    row = Row(measure(Ratio.TIMES_FASTER, "≥", 30), figure)
    assert (row.ratio, row.met) == (None, None)


def test_a_run_in_which_nothing_was_measured_has_every_row_and_says_so() -> None:
    result = Result({}, [], QUICK, 0.1)
    assert result.text().count("not measured") == len(MEASURES)
    assert all(f"| {each.name} | – | – | – |" in render(result) for each in MEASURES)


def test_the_page_can_be_written_later_from_the_file_of_a_run() -> None:
    result = Result({"render": Figure(0.1, 4.0, "a | remark")}, CURVE, QUICK, 2.5)
    result.date, result.edition, result.machine = "2026-01-02", "1.2 (abc)", "3 × that, 4 GB, Python 3.11"
    again = Result.of_json(json.loads(json.dumps(result.json())))
    assert (again.json(), render(again)) == (result.json(), render(result))


def test_keys_and_names_of_rows_are_unique() -> None:
    assert len({each.key for each in MEASURES}) == len({each.name for each in MEASURES}) == len(MEASURES)


def test_a_ratio_has_a_reference() -> None:
    assert [each.key for each in MEASURES if each.ratio is not Ratio.NONE and not each.reference] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00012, "0.0001"), (0.0123, "0.0123"), (1.2345, "1.23"), (123.45, "123"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("curve", [[], CURVE[:1], CURVE, [Point(n, n, n, 1e-5 * n, 1e3, 1.0) for n in (1, 10**6)]])
def test_the_picture_is_xml_with_each_point_twice(curve: list[Point]) -> None:
    picture = ElementTree.fromstring(draw(curve))
    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) == 2 * len(curve)


def test_lines_of_the_page_are_short_but_for_tables_and_a_small_run_is_said_to_be_one() -> None:
    small, whole = (
        render(Result({"render": Figure(1.0, 2.0, "word " * 50)}, CURVE, each, 0.1)) for each in (QUICK, Sizes())
    )
    assert [line for line in whole.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert "at this size, one that is met says nothing" in small
    assert "at this size" not in whole


def test_a_remark_cannot_break_the_page() -> None:
    note = "p50 1.2 | <b> \n"
    page = render(Result({"late_p99": Figure(1.0, note=note)}, CURVE, Sizes(), 0.1))
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)
    assert {line.count(" | ") for line in rows} <= {5, 6}
