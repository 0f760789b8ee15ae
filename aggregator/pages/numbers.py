"""How numbers look on pages: in units that people use, in the reader's language; what is not known says so, in grey."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup

from aggregator.pages.language import Language

HOUR: Final = 3600.0
_DAY: Final = 86_400.0
# No line may be broken between a number and its unit.
GAP: Final = "\N{NO-BREAK SPACE}"
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL: Final = ("", "k", "M", "G", "T", "P")
_JOULES_PER_KWH: Final = 3.6e6
# Below it would be written with zeros after the point.
_LEAST_KWH: Final = 0.095
# The least amount of money that is paid.
_CENT: Final = 0.01


@dataclass(frozen=True, slots=True)
class Numbers:
    """Write numbers in one language. Every method takes None, and what is no number, for "not known"."""

    language: Language

    @property
    def unknown(self) -> Markup:
        """Say that something is not known."""
        return Markup('<span class="unknown">{}</span>').format(self.language("not known"))

    def number(self, value: Any) -> str:
        """Write a number with as many digits as people read: 4.2, 12, 1,300, 0.04."""
        return self.unknown if _is_unknown(value) else self._plain(float(value))

    def count(self, value: Any) -> str:
        """Write how many there are."""
        return self.unknown if _is_unknown(value) else str(format_decimal(round(value), locale=self.language.locale))

    def percent(self, ratio: Any) -> str:
        """Write a ratio as a percentage; what is neither nothing nor all is never written as that."""
        if _is_unknown(ratio):
            return self.unknown
        shown = round(ratio, 2)
        if shown == 0 and ratio > 0:
            return f"<{GAP}{self._percent(0.01)}"
        if shown == 1 and ratio < 1:
            return f">{GAP}{self._percent(0.99)}"
        return self._percent(shown)

    def size(self, value: Any) -> str:
        """Write bytes: 1.3 TiB."""
        return self._scaled(value, 1024, _BINARY)

    def watts(self, value: Any) -> str:
        """Write a power: 12 kW."""
        return self._scaled(value, 1000, [f"{prefix}W" for prefix in _DECIMAL])

    def energy(self, joules: Any) -> str:
        """Write an energy in Wh and their multiples: 58 Wh, 0.6 kWh."""
        if _is_unknown(joules):
            return self.unknown
        kwh = joules / _JOULES_PER_KWH
        if 0 < abs(kwh) < _LEAST_KWH:
            return f"{self._plain(kwh * 1000)}{GAP}Wh"
        return f"{self._plain(kwh)}{GAP}kWh" if abs(kwh) < 1000 else self._scaled(kwh * 1000, 1000, _WATT_HOURS)

    def grams(self, value: Any) -> str:
        """Write a mass: 18 g, 2.1 kg, 3 t."""
        if not _is_unknown(value) and abs(value) >= 1e6:
            return f"{self._plain(value / 1e6)}{GAP}t"
        return self._scaled(value, 1000, ("g", "kg"))

    def rate(self, bytes_per_second: Any) -> str:
        """Write bytes per second as storage people do, by powers of ten: 120 MB/s."""
        return self._scaled(bytes_per_second, 1000, [f"{prefix}B/s" for prefix in _DECIMAL])

    def duration(self, seconds: Any) -> str:
        """Write a length of time by its two largest units: 3 h 04 min."""
        if _is_unknown(seconds):
            return self.unknown
        whole = round(max(0.0, seconds))
        if whole < 60:
            return f"{whole}{GAP}s"
        if whole < HOUR:
            return _pair((whole // 60, "min"), (whole % 60, "s"))
        minutes = round(whole / 60)
        if minutes < 24 * 60:
            return _pair((minutes // 60, "h"), (minutes % 60, "min"))
        hours = round(whole / HOUR)
        return _pair((hours // 24, self.language("d")), (hours % 24, "h"))

    def seconds(self, value: Any) -> str:
        """Write how long something took: 0.04 s."""
        if _is_unknown(value):
            return self.unknown
        least = 0.001
        return f"<{GAP}{self._plain(least)}{GAP}s" if 0 < value < least else f"{self._plain(float(value))}{GAP}s"

    def gpu_hours(self, seconds: Any) -> str:
        """Write GPU time: 4.2 GPU-hours."""
        _ = self.language
        if _is_unknown(seconds):
            return self.unknown
        return _.ngettext("%(n)s GPU-hour", "%(n)s GPU-hours", _spoken(seconds / HOUR), n=self._plain(seconds / HOUR))

    def cpu_hours(self, seconds: Any) -> str:
        """Write CPU time: 25 CPU-hours."""
        _ = self.language
        if _is_unknown(seconds):
            return self.unknown
        return _.ngettext("%(n)s CPU-hour", "%(n)s CPU-hours", _spoken(seconds / HOUR), n=self._plain(seconds / HOUR))

    def money(self, amount: Any, currency: str) -> str:
        """Write an amount of money with its currency's code: 4.10 CAD."""
        if _is_unknown(amount):
            return self.unknown
        if 0 < amount < _CENT / 2:
            return f"<{GAP}{self.money(_CENT, currency)}"
        pattern = "#,##0.00" if abs(amount) < 1000 else "#,##0"
        return f"{format_decimal(amount, format=pattern, locale=self.language.locale)}{GAP}{currency}"

    def moment(self, epoch: Any) -> str:
        """Write a moment, which a script shows by the reader's own clock."""
        if _is_unknown(epoch):
            return self.unknown
        at = datetime.fromtimestamp(epoch, UTC)
        text = format_datetime(at, "d MMM y HH:mm", locale=self.language.locale)
        return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="seconds"), text)

    def clock(self, epoch: float, *, with_date: bool) -> str:
        """Write a tick of an axis, in UTC."""
        at = datetime.fromtimestamp(epoch, UTC)
        return str(format_date(at, "d MMM", locale=self.language.locale)) if with_date else f"{at:%H:%M}"

    def listed(self, names: Iterable[str], most: int = 5) -> str:
        """Write a few names, and how many more there are."""
        known = list(names)
        more = len(known) - most
        shown, _ = ", ".join(known[:most]), self.language
        return _("%(names)s and %(n)s more", names=shown, n=more) if more > 0 else shown

    def _scaled(self, value: Any, base: float, units: Sequence[str]) -> str:
        if _is_unknown(value):
            return self.unknown
        steps = 0
        scaled = float(value)
        # What would be written as 1,024 MiB is 1 GiB.
        while abs(scaled) >= base - 0.5 and steps < len(units) - 1:
            scaled, steps = scaled / base, steps + 1
        return f"{self._plain(scaled)}{GAP}{units[steps]}"

    def _plain(self, value: float) -> str:
        size = abs(value)
        digits = 0 if size >= 9.95 or size == 0 else 1 if size >= 0.095 else min(6, 1 - math.floor(math.log10(size)))
        pattern = "#,##0" + ("." + "#" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.language.locale))

    def _percent(self, ratio: float) -> str:
        return str(format_percent(ratio, locale=self.language.locale)).replace("\N{NARROW NO-BREAK SPACE}", GAP)


def _spoken(value: float) -> float:
    """Give the number as it is written: what is written as 1 is one."""
    return round(value, 1)


def plain(text: str) -> str:
    """Give a number without its markup, for what can have none."""
    return text.striptags() if isinstance(text, Markup) else text


_WATT_HOURS: Final = [f"{prefix}Wh" for prefix in _DECIMAL]


def _is_unknown(value: Any) -> bool:
    return not isinstance(value, int | float) or not math.isfinite(value)


def _pair(first: tuple[int, str], second: tuple[int, str]) -> str:
    (many, unit), (more, lesser) = first, second
    width = 2 if lesser in ("min", "s") else 1
    return f"{many}{GAP}{unit}" + (f"{GAP}{more:0{width}}{GAP}{lesser}" if more else "")
