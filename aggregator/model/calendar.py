"""Hours, days and months as slurmdbd's clock has them: time zones of half hours, days of 23 and 25 hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal

Resolution = Literal["hour", "day", "month"]
RESOLUTIONS: Final[tuple[Resolution, ...]] = ("hour", "day", "month")
HOUR, DAY = 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """The local time by which slurmdbd cuts its tables; origin says how the zone is known."""

    zone: tzinfo = UTC
    name: str = "UTC"
    origin: Literal["configured", "derived", "service"] = "service"

    def floor(self, at: float, resolution: Resolution) -> float:
        """Give the start of the hour, day or month in which `at` is."""
        if resolution == "hour":
            begin = self._hour(at)
            # Where clocks change by half an hour, the hour in which they do is half an hour longer.
            return begin if self._offset(begin) == self._offset(at) else self._hour(begin)
        today = _local(at, self.zone).date()
        return self.midnight(today.replace(day=1) if resolution == "month" else today)

    def following(self, at: float, resolution: Resolution) -> float:
        """Give the start of the next hour, day or month."""
        if resolution == "hour":
            stop = self.floor(at, "hour") + HOUR
            return stop if self.fits("hour", stop) else stop + HOUR / 2
        today = _local(at, self.zone).date()
        return self.midnight(_next_month(today) if resolution == "month" else today + timedelta(days=1))

    def _hour(self, at: float) -> float:
        offset = self._offset(at)
        return (at + offset) // HOUR * HOUR - offset

    def _offset(self, at: float) -> float:
        return (_local(at, self.zone).utcoffset() or timedelta()).total_seconds()

    def ceil(self, at: float, resolution: Resolution) -> float:
        """Give `at` where it is a boundary, else the next one."""
        return at if self.floor(at, resolution) == at else self.following(at, resolution)

    def day_of(self, at: float) -> date:
        """Give the day in which `at` is."""
        return _local(at, self.zone).date()

    def midnight(self, day: date) -> float:
        """Give when the day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()

    def periods(self, begin: float, end: float, resolution: Resolution) -> Iterator[float]:
        """List the starts of the periods from the boundary `begin` to before `end`."""
        while begin < end:
            yield begin
            begin = self.following(begin, resolution)

    def fits(self, resolution: Resolution, boundary: float) -> bool:
        """Tell whether the zone has a boundary there."""
        return self.floor(boundary, resolution) == boundary

    def fiscal_year(self, at: float, month: int, day: int) -> float:
        """Give when the fiscal year in which `at` is has begun."""
        today = _local(at, self.zone).date()
        begins = today.replace(month=month, day=day)
        return self.midnight(begins if begins <= today else begins.replace(year=today.year - 1))


def _local(at: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, zone)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Rolled:
    """Until when slurmdbd's tables are final, by resolution: what begins later is missing or partial. Epoch seconds."""

    hour: float
    day: float
    month: float

    def until(self, resolution: Resolution) -> float:
        """Give the time before which the table of this resolution is final."""
        return {"hour": self.hour, "day": self.day, "month": self.month}[resolution]


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of time that is read from one table, [begin, end) in epoch seconds."""

    resolution: Resolution
    begin: float
    end: float


def cover(begin: float, end: float, rolled: Rolled, calendar: Calendar, coarsest: Resolution) -> list[Segment]:
    """Cover [begin, end), from an hour's start on, with final rows of the coarsest tables, as far as there are any.

    The last segment's end is where final rows cease. Nothing is covered twice.
    """
    usable = RESOLUTIONS[RESOLUTIONS.index(coarsest) :: -1]
    segments: list[Segment] = []
    while begin < end:
        found = _coarsest(begin, end, rolled, calendar, usable)
        if found is None:
            break
        if segments and segments[-1].resolution == found.resolution:
            found = Segment(found.resolution, segments.pop().begin, found.end)
        segments.append(found)
        begin = found.end
    return segments


def _coarsest(
    begin: float, end: float, rolled: Rolled, calendar: Calendar, usable: tuple[Resolution, ...]
) -> Segment | None:
    for resolution in usable:
        if calendar.fits(resolution, begin):
            stop = calendar.following(begin, resolution)
            if stop <= min(end, rolled.until(resolution)):
                return Segment(resolution, begin, stop)
    return None


def covered_until(segments: list[Segment], begin: float) -> float:
    """Give where the final rows of a cover from `begin` on cease."""
    return segments[-1].end if segments else begin
