"""Lines that are merged, folded, added up, and compared with the whole: no value appears or is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.series import OTHERS, UNACCOUNTED, add_up, fold_smallest, merge_equal, unaccounted
from aggregator.model.series import Line

POINTS = st.dictionaries(st.integers(0, 5).map(float), st.integers(0, 1000).map(float), max_size=5)
LINES = st.lists(
    st.builds(
        lambda user, app, points: Line({"user": user, "app": app}, tuple(sorted(points.items()))),
        st.sampled_from(["alice", 'b"\n🚀']), st.sampled_from(["a", "b", "c", "d"]), POINTS,
    ),
    max_size=8,
)  # fmt: skip


def total(lines: list[Line]) -> dict[float, float]:
    found: dict[float, float] = {}
    for line in lines:
        for time, value in line.points:
            found[time] = found.get(time, 0.0) + value
    return found


@given(LINES, st.integers(0, 8))
def test_folding_and_adding_up_keep_the_sum_at_every_time(lines: list[Line], top: int) -> None:
    assert total(fold_smallest(lines, "app", top)) == total(lines)
    assert total(add_up(lines, "app")) == total(lines)


@given(LINES)
def test_parts_and_rest_are_the_whole_where_the_parts_are_not_more(lines: list[Line]) -> None:
    parts = add_up(lines, "nothing")
    whole = [Line({"user": line.labels["user"], "node": "n1"}, line.points) for line in add_up(parts, "app")]
    assert all(value == 0 for line in unaccounted(parts, whole, "app") for _, value in line.points)
    doubled = [Line(line.labels, tuple((time, 2 * value) for time, value in line.points)) for line in whole]
    assert total(parts + unaccounted(parts, doubled, "app")) == total(doubled)


def test_the_largest_of_the_whole_range_are_kept_not_those_of_each_step() -> None:
    """A set that changes per step would show more lines than were asked for."""
    early, late, steady = (
        Line({"app": name}, points)
        for name, points in {
            "early": ((1.0, 9.0), (2.0, 0.0)), "late": ((1.0, 0.0), (2.0, 8.0)), "steady": ((1.0, 5.0), (2.0, 6.0)),
        }.items()
    )  # fmt: skip
    assert fold_smallest([early, late, steady], "app", 1) == [steady, Line({"app": OTHERS}, ((1.0, 9.0), (2.0, 8.0)))]


def test_what_no_part_accounts_for_is_never_below_zero() -> None:
    parts = [Line({"job": "1", "app": "x"}, ((1.0, 3.0), (2.0, 1.0)))]
    whole = [Line({"job": "1", "node": "n1"}, ((1.0, 2.0), (2.0, 4.0)))]
    assert unaccounted(parts, whole, "app") == [Line({"job": "1", "app": UNACCOUNTED}, ((1.0, 0.0), (2.0, 3.0)))]


def test_without_any_part_the_whole_is_unaccounted_for() -> None:
    whole = [Line({"job": "1", "node": node}, ((1.0, 2.0),)) for node in ("n1", "n2")]
    assert unaccounted([], whole, "app") == [Line({"app": UNACCOUNTED}, ((1.0, 4.0),))]
    assert unaccounted([], [], "app") == []


def test_two_lines_that_mean_one_node_are_one_with_the_larger_value() -> None:
    """A port changed, or two Prometheus servers scrape the same exporter."""
    lines = [Line({"node": "n1"}, ((1.0, 2.0), (2.0, 3.0))), Line({"node": "n1"}, ((2.0, 1.0), (3.0, 4.0)))]
    assert merge_equal(lines) == [Line({"node": "n1"}, ((1.0, 2.0), (2.0, 3.0), (3.0, 4.0)))]


@pytest.mark.parametrize("points", [(), ((1.0, 2.0), (2.0, 4.0))])
def test_the_mean_is_of_the_values_that_there_are(points: tuple[tuple[float, float], ...]) -> None:
    assert Line({}, points).mean == (3.0 if points else None)
