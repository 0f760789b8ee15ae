"""By which clock slurmdbd cuts days: what is configured, else what the starts of its days fit, else this machine's."""

import os
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from aggregator.model.calendar import Calendar

_LOCALTIME = "/etc/localtime"


def choose_calendar(configured: str | None, boundaries: Sequence[float]) -> Calendar:
    """Choose the clock; boundaries are the starts of slurmdbd's days.

    Many zones fit as well as the right one where only a few days are known, so this machine's own comes first.
    """
    if configured:
        return Calendar(ZoneInfo(configured), configured, "configured")
    own = _own_zone()
    if not boundaries:
        return own
    if _fits(own, boundaries):
        return Calendar(own.zone, own.name, "derived")
    for name in sorted(available_timezones(), key=_plainness):
        candidate = Calendar(ZoneInfo(name), name, "derived")
        if _fits(candidate, boundaries):
            return candidate
    return own


def _fits(calendar: Calendar, boundaries: Sequence[float]) -> bool:
    return all(calendar.fits("day", boundary) for boundary in boundaries)


def _plainness(name: str) -> tuple[bool, bool, str]:
    """Order names: UTC, then cities, then the aliases that the database keeps for old systems."""
    return name != "UTC", "/" not in name or name.startswith(("Etc/", "US/", "posix/", "right/")), name


def _own_zone() -> Calendar:
    """Find the name of this machine's zone as programs do: TZ, else where the local time's file leads."""
    name = os.environ.get("TZ", "").lstrip(":") or os.path.realpath(_LOCALTIME).partition("zoneinfo/")[2] or "UTC"
    try:
        return Calendar(ZoneInfo(name), name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Calendar()
