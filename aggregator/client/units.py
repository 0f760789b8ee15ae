"""Amounts in people's units; what is not known is a dash, never 0."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

UNKNOWN: Final = "–"
_HOUR: Final = 3600.0
_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_ENERGIES: Final = ("Wh", "kWh", "MWh", "GWh", "TWh")
_WATTS: Final = ("W", "kW", "MW", "GW")
_GRAMS: Final = ("g", "kg", "t", "kt")
_COUNTS: Final = ("", "k", "M", "G", "T")


def number(value: float | None) -> str:
    """Write an amount with two or three digits, such as 4.2, 38 or 12k."""
    return UNKNOWN if value is None else _scaled(value, 1000, _COUNTS).replace(" ", "")


def counted(value: float | None, noun: str) -> str:
    """Write an amount of things, such as 1 GPU or 0.9 CPUs."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def size(count: float | None) -> str:
    """Write bytes, such as 1.3 TiB."""
    return UNKNOWN if count is None else _scaled(count, 1024, _SIZES)


def energy(joules: float | None) -> str:
    """Write an energy, such as 12 kWh."""
    return UNKNOWN if joules is None else _scaled(joules / _HOUR, 1000, _ENERGIES)


def power(watts: float | None) -> str:
    """Write a power, such as 1.3 kW."""
    return UNKNOWN if watts is None else _scaled(watts, 1000, _WATTS)


def mass(grams: float | None) -> str:
    """Write a mass, such as 1.3 kg."""
    return UNKNOWN if grams is None else _scaled(grams, 1000, _GRAMS)


def hours(seconds: float | None, unit: str = "hours") -> str:
    """Write an amount of CPU or GPU time, such as 4.2 GPU-hours."""
    return f"{number(None if seconds is None else seconds / _HOUR)} {unit}".strip()


def percent(ratio: float | None) -> str:
    """Write a ratio in percent, without the sign. What would be rounded to 0 and is more is "<1"."""
    if ratio is None:
        return UNKNOWN
    text = f"{100 * ratio:.0f}"
    return "<1" if text == "0" and ratio > 0 else text


def duration(seconds: float | None) -> str:
    """Write a duration in one unit, such as 45s, 38m, 1.6h, 24h or 3.1d."""
    if seconds is None:
        return UNKNOWN
    for unit, length, below in (("s", 1, 60.0), ("m", 60, _HOUR), ("h", 3600, 48 * _HOUR)):
        if seconds < below:
            return f"{_short(seconds / length)}{unit}"
    return f"{_short(seconds / 86400)}d"


def moment(epoch: float | None) -> str:
    """Write a time of the reader's own clock to the minute."""
    try:
        return UNKNOWN if epoch is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch))
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


# How a field is written, by how its name ends; the first that fits.
_BY_NAME: Final[tuple[tuple[str, Callable[[Any], str]], ...]] = (
    ("_bytes_per_second", lambda value: UNKNOWN if value is None else f"{size(value)}/s"),
    ("_timestamp_seconds", moment),
    ("cpu_seconds", lambda value: hours(value, "CPU-h")),
    ("gpu_seconds", lambda value: hours(value, "GPU-h")),
    ("_seconds", duration),
    ("_bytes", size),
    ("_ratio", lambda value: UNKNOWN if value is None else f"{percent(value)} %"),
    ("joules", energy),
    ("joules_total", energy),
    ("_watts", power),
    ("_grams_total", mass),
)


def field(name: str, value: Any) -> str:
    """Write any field of the API."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if name.endswith("_id") or name in ("uid", "id"):
            return str(value)
        return next((write for end, write in _BY_NAME if name.endswith(end)), number)(value)
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, Mapping):
        return " ".join(f"{name}={field(name, each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(
            " ".join(field(name, part) for name, part in each.items()) if isinstance(each, Mapping) else _text(each)
            for each in value
        )
    return str(value)


def _short(value: float) -> str:
    """Write one decimal below 10, if it is not 0."""
    return f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"


def _scaled(value: float, step: int, names: Sequence[str]) -> str:
    sign, value, place = "-" * (value < 0), abs(value), 0
    while value >= 0.9995 * step and place < len(names) - 1:
        value, place = value / step, place + 1
    if place == 0 and 0 < value < 0.095:
        return f"<0.1 {names[0]}".strip()
    return f"{sign}{_short(value)} {names[place]}".strip()
