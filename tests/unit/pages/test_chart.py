"""What charts say: where nobody looked they are grey, and no name in them is markup."""

import re
from xml.etree import ElementTree as ET

from aggregator.pages.chart import (
    Band,
    Lane,
    Mark,
    Plateau,
    Times,
    Trace,
    bar,
    dot_chart,
    lane_chart,
    line_chart,
    parts_bar,
    thin,
    value_ticks,
)

TIMES = Times(0.0, 600.0, 60.0)
HOSTILE = '<script>alert("1")</script>'


def draw(*traces: Trace, levels: tuple[Plateau, ...] = (), band: Band | None = None) -> ET.Element:
    text = line_chart(
        TIMES, traces, levels, label=HOSTILE, write=lambda value: f"{value:g}", clock=lambda at, _: f"{at:g}",
        band=band, unseen=HOSTILE,
    )  # fmt: skip
    return ET.fromstring(text)


def points(*minutes: int, value: float = 1.0) -> tuple[tuple[float, float], ...]:
    return tuple((minute * 60.0, value) for minute in minutes)


def test_a_line_ends_where_points_are_missing_and_the_gap_is_grey() -> None:
    drawn = draw(Trace(points(0, 1, 2, 3, 7, 8, 9, 10)))
    (line,) = drawn.findall("path[@class='line']")
    assert line.attrib["d"].count("M") == 2
    (grey,) = drawn.findall("rect[@class='unseen']")
    assert grey.findtext("title") == HOSTILE


def test_nothing_at_all_is_grey_from_end_to_end_and_never_a_line_at_zero() -> None:
    drawn = draw()
    assert drawn.findall("path[@class='line']") == []
    assert len(drawn.findall("rect[@class='unseen']")) == 1


def test_a_whole_line_leaves_nothing_grey() -> None:
    assert draw(Trace(points(*range(11)))).findall("rect[@class='unseen']") == []


def test_all_that_is_drawn_is_within_the_chart() -> None:
    drawn = draw(Trace(points(*range(11), value=900.0)), levels=(Plateau(1000.0),))
    numbers = [float(each) for path in drawn.findall("path") for each in re.findall(r"[\d.]+", path.attrib["d"])]
    assert min(numbers) >= 0
    assert max(numbers) <= 560


def test_a_band_lies_between_the_lowest_and_the_highest() -> None:
    drawn = draw(Trace(points(*range(11), value=5.0)), band=Band([(60.0 * each, 2.0, 8.0) for each in range(11)]))
    assert len(drawn.findall("path[@class='band']")) == 1


def test_many_points_become_few_and_their_mean_stays() -> None:
    many = [(float(at), float(at % 2)) for at in range(10_000)]
    few = thin(many)
    assert len(few) <= 241
    assert abs(sum(value for _, value in few) / len(few) - 0.5) < 0.01


def test_ticks_are_round_and_reach_the_largest_value() -> None:
    assert value_ticks(16, 10) == [0, 10, 20]
    assert value_ticks(64 * 2**30, 1024) == [0, 40 * 2**30, 80 * 2**30]
    assert value_ticks(0, 10) == [0, 1]
    assert all(value_ticks(most / 7, 10)[-1] >= most / 7 for most in range(1, 2000))


def test_a_device_without_any_point_is_an_empty_lane_with_words() -> None:
    lanes = [
        Lane("GPU 0", points(*range(11)), below=points(*range(11), value=0.5)),
        Lane(HOSTILE, words=HOSTILE, is_bad=True),
    ]
    drawn = ET.fromstring(lane_chart(TIMES, lanes, label="GPU", clock=lambda at, _: f"{at:g}"))
    assert len(drawn.findall("rect[@class='lane']")) == 1
    assert [len(drawn.findall(f"path[@class='{look}']")) for look in ("heat h10", "heat b h5")] == [1, 1]
    assert [each.text for each in drawn.findall("text[@class='words bad']")] == [HOSTILE]


def test_the_marked_dot_lies_on_top_of_the_others() -> None:
    marks = [Mark(0.4, "this", is_this=True), Mark(0.5, HOSTILE)]
    drawn = ET.fromstring(dot_chart(marks, label="Like", write=lambda value: f"{value:g}", ends=("older", "now")))
    assert [each.attrib["class"] for each in drawn.findall("circle")] == ["dot", "this"]


def test_a_bar_of_what_is_not_known_is_empty_and_says_so() -> None:
    assert "fill" not in bar(None, "", "CPU: not known")
    assert 'class="bar none"' in bar(None, "", "CPU: not known")
    assert 'width="100.0%"' in bar(7.0, "bad", "CPU")
    ET.fromstring(parts_bar([(0.5, "", HOSTILE), (0.5, "b", "rest")], HOSTILE))
