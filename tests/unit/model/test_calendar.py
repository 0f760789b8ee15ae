"""Periods as slurmdbd's clock has them, and how a time is covered with final rows."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.calendar import (
    DAY,
    HOUR,
    RESOLUTIONS,
    Calendar,
    Resolution,
    Rolled,
    Segment,
    cover,
    covered_until,
)

ZONES = ("UTC", "Europe/Paris", "America/Toronto", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu")
BEGIN, END = 1_600_000_000, 1_900_000_000
calendars = st.sampled_from(ZONES).map(lambda name: Calendar(ZoneInfo(name), name))


def at(zone: str, text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", "2025-03-30", 23), ("Europe/Paris", "2025-10-26", 25), ("Europe/Paris", "2025-06-01", 24),
        ("America/Toronto", "2025-03-09", 23), ("America/Toronto", "2025-11-02", 25),
    ],
)  # fmt: skip
def test_a_day_on_which_clocks_change_has_23_or_25_hours(zone: str, day: str, hours: int) -> None:
    calendar, begin = Calendar(ZoneInfo(zone)), at(zone, day)

    assert calendar.following(begin, "day") - begin == hours * HOUR
    assert len(list(calendar.periods(begin, calendar.following(begin, "day"), "hour"))) == hours


def test_hours_of_a_half_hour_zone_begin_at_half_past_in_utc() -> None:
    calendar = Calendar(ZoneInfo("Asia/Kolkata"))

    assert calendar.floor(1_700_000_000, "hour") % HOUR == HOUR / 2
    assert calendar.floor(1_700_000_000, "day") == at("Asia/Kolkata", "2023-11-15")


def test_months_begin_at_local_midnight() -> None:
    calendar = Calendar(ZoneInfo("America/Toronto"))

    assert calendar.following(at("America/Toronto", "2025-12-15"), "month") == at("America/Toronto", "2026-01-01")
    assert calendar.ceil(at("America/Toronto", "2026-01-01"), "month") == at("America/Toronto", "2026-01-01")


@pytest.mark.parametrize(("now", "year"), [("2025-03-31T23:59", 2024), ("2025-04-01", 2025), ("2026-01-01", 2025)])
def test_the_fiscal_year_is_the_one_that_has_begun(now: str, year: int) -> None:
    zone = "America/Toronto"

    assert Calendar(ZoneInfo(zone)).fiscal_year(at(zone, now), 4, 1) == at(zone, f"{year}-04-01")


@given(calendars, st.integers(BEGIN, END), st.sampled_from(RESOLUTIONS))
def test_every_time_is_in_the_period_that_begins_at_its_floor(
    calendar: Calendar, moment: int, resolution: Resolution
) -> None:
    begin = calendar.floor(moment, resolution)

    assert begin <= moment < calendar.following(begin, resolution)
    assert calendar.floor(begin, resolution) == begin


@given(calendars, st.integers(BEGIN, END), st.integers(0, 500 * 86_400), st.data())
def test_a_cover_has_no_gap_no_overlap_and_only_final_rows(
    calendar: Calendar, moment: int, length: int, data: st.DataObject
) -> None:
    begin, end = calendar.floor(moment, "hour"), float(moment + length)
    hour = data.draw(st.integers(moment - 86_400, moment + length + 3600))
    rolled = Rolled(*(calendar.floor(hour, resolution) for resolution in RESOLUTIONS))
    coarsest = data.draw(st.sampled_from(RESOLUTIONS))

    segments = cover(begin, end, rolled, calendar, coarsest)

    edges = [
        begin,
        *(edge for segment in segments for edge in (segment.begin, segment.end)),
        covered_until(segments, begin),
    ]
    assert edges[::2] == edges[1::2], "each begins where the one before ends"
    for segment in segments:
        assert segment.begin < segment.end <= min(end, rolled.until(segment.resolution))
        assert calendar.fits(segment.resolution, segment.begin)
        assert calendar.fits(segment.resolution, segment.end)
        assert RESOLUTIONS.index(segment.resolution) <= RESOLUTIONS.index(coarsest)
    until = covered_until(segments, begin)
    assert min(end, rolled.hour) < calendar.following(until, "hour"), "an hour that is final is covered"


@pytest.mark.parametrize("change", ["2020-10-04T01:00", "2020-04-05T01:00"])
def test_an_hour_in_which_the_clocks_change_by_half_an_hour_is_longer_by_it(change: str) -> None:
    zone = "Australia/Lord_Howe"
    calendar, begin = Calendar(ZoneInfo(zone)), at(zone, change)

    assert calendar.following(begin, "hour") == begin + 1.5 * HOUR
    assert {calendar.floor(begin + seconds, "hour") for seconds in range(0, 5400, 60)} == {begin}


def test_a_year_is_read_from_months_with_days_and_hours_at_its_ends() -> None:
    zone = "Europe/Paris"
    calendar, begin, end = Calendar(ZoneInfo(zone)), at(zone, "2024-05-20T13:00"), at(zone, "2025-05-20T13:00")
    rolled = Rolled(at(zone, "2025-05-20T13:00"), at(zone, "2025-05-20"), at(zone, "2025-05-01"))

    found = cover(begin, end, rolled, calendar, "month")

    assert [segment.resolution for segment in found] == ["hour", "day", "month", "day", "hour"]
    assert (found[0].begin, found[2].begin, found[2].end, found[-1].end) == (
        begin, at(zone, "2024-06-01"), at(zone, "2025-05-01"), end,
    )  # fmt: skip


def test_what_is_rolled_back_is_not_covered() -> None:
    calendar = Calendar()
    rolled = Rolled(10 * DAY, 10 * DAY, 0.0)

    assert cover(9 * DAY, 12 * DAY, rolled, calendar, "day") == [Segment("day", 9 * DAY, 10 * DAY)]
    assert cover(11 * DAY, 12 * DAY, rolled, calendar, "day") == []
    assert cover(12 * DAY, 12 * DAY, rolled, calendar, "day") == []
