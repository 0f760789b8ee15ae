"""Which clock slurmdbd has, when nobody says so."""

from zoneinfo import ZoneInfo

import pytest

from aggregator.model.calendar import Calendar
from aggregator.sources.slurmacct.zone import choose_calendar

YEAR = 1_735_689_600.0, 1_735_689_600.0 + 365 * 86_400


def starts(zone: str) -> list[float]:
    """List the starts of a year's days by that zone's clock."""
    calendar = Calendar(ZoneInfo(zone))
    return list(calendar.periods(calendar.floor(YEAR[0], "day"), YEAR[1], "day"))


def test_what_is_configured_is_used() -> None:
    calendar = choose_calendar("Asia/Kolkata", starts("Europe/Paris"))

    assert (calendar.name, calendar.origin) == ("Asia/Kolkata", "configured")


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Toronto", "Asia/Kolkata", "America/Santiago", "UTC"])
def test_a_zone_is_found_that_has_these_days(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    calendar = choose_calendar(None, starts(zone))

    assert calendar.origin == "derived"
    assert list(calendar.periods(calendar.floor(YEAR[0], "day"), YEAR[1], "day")) == starts(zone)


def test_this_machines_zone_comes_first_when_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Toronto")

    assert choose_calendar(None, starts("America/New_York")).name == "America/Toronto"


@pytest.mark.parametrize("own", ["Europe/Paris", ":Europe/Paris"])
def test_without_a_day_it_is_this_machines(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", own)
    calendar = choose_calendar(None, [])

    assert (calendar.name, calendar.origin) == ("Europe/Paris", "service")


def test_days_that_no_zone_has_are_cut_by_this_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Paris")
    calendar = choose_calendar(None, [YEAR[0], YEAR[0] + 7])

    assert (calendar.name, calendar.origin) == ("Europe/Paris", "service")


def test_a_machine_whose_zone_has_no_name_has_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5EDT4,M3.2.0,M11.1.0")

    assert choose_calendar(None, []).name == "UTC"
