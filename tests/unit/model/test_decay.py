"""How usage fades: by half-lives, and to nothing when it is reset."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.calendar import DAY, HOUR, Calendar
from aggregator.model.decay import HALF_LIVES, Decay, ResetPeriod

TORONTO = Calendar(ZoneInfo("America/Toronto"))
WEEK = Decay(7 * DAY)
NONE = Decay(0.0)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=TORONTO.zone).timestamp()


def test_half_is_left_after_each_half_life_and_all_of_it_without_decay() -> None:
    assert [WEEK.weight(age * DAY) for age in (0, 7, 14)] == [1.0, 0.5, 0.25]
    assert NONE.weight(365 * DAY) == NONE.mean_weight(0.0, DAY, 400 * DAY) == 1.0


@given(st.floats(1, 400), st.floats(0, 100), st.floats(0.01, 100))
def test_what_is_left_of_a_span_is_between_what_is_left_of_its_ends(
    half_life: float, age: float, length: float
) -> None:
    decay, begin = Decay(half_life * DAY), 1e9
    end = begin + length * DAY
    now = end + age * DAY
    mean = decay.mean_weight(begin, end, now)
    assert decay.weight(now - begin) * (1 - 1e-9) <= mean <= decay.weight(now - end) * (1 + 1e-9)


@given(st.floats(0, 1), st.floats(1, 60))
def test_what_is_left_of_a_span_is_that_of_its_parts(cut: float, half_life: float) -> None:
    decay, length, now = Decay(half_life * DAY), 3 * DAY, 5 * DAY
    parts = [(0.0, cut * length), (cut * length, length)]
    left = sum((end - begin) * decay.mean_weight(begin, end, now) for begin, end in parts)
    assert left == pytest.approx(length * decay.mean_weight(0.0, length, now), rel=1e-6)


def test_a_span_of_no_length_weighs_as_its_moment() -> None:
    assert WEEK.mean_weight(5.0, 5.0, 5.0 + 7 * DAY) == 0.5


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("daily", "2026-11-04T00:00"),
        ("weekly", "2026-11-01T00:00"),  # a Sunday, on which the clocks change
        ("monthly", "2026-11-01T00:00"),
        ("quarterly", "2026-10-01T00:00"),
        ("yearly", "2026-01-01T00:00"),
    ],
)
def test_usage_is_reset_at_a_midnight_of_slurms_clock(period: ResetPeriod, expected: str) -> None:
    now = at("2026-11-04T13:30")
    assert Decay(0.0, period).since(now, TORONTO) == at(expected)
    assert Decay(0.0, period).since(at(expected), TORONTO) == at(expected), "at the midnight itself it is reset"


def test_a_week_ends_with_its_saturday() -> None:
    weekly = Decay(0.0, "weekly")
    assert weekly.since(at("2026-11-08T00:00") - 1, TORONTO) == at("2026-11-01T00:00")
    assert weekly.since(at("2026-11-08T00:00"), TORONTO) == at("2026-11-08T00:00")


def test_what_has_faded_to_less_than_a_thousandth_does_not_count() -> None:
    now = at("2026-11-04T13:30")
    since = WEEK.since(now, TORONTO)
    assert TORONTO.fits("day", since)
    assert now - since - HALF_LIVES * 7 * DAY == pytest.approx(13.5 * HOUR, abs=HOUR)
    assert WEEK.weight(now - since) < 0.001


def test_a_reset_forgets_what_has_not_faded_and_nothing_is_forgotten_without_both() -> None:
    now = at("2026-11-04T13:30")
    assert Decay(30 * DAY, "weekly").since(now, TORONTO) == at("2026-11-01T00:00")
    assert NONE.since(now, TORONTO) == 0.0
