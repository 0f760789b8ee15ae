"""How people read numbers: in their units and their language, and what is not known says so."""

import math
from typing import Any

import pytest

from aggregator.pages.language import language
from aggregator.pages.numbers import GAP, Numbers, plain

EN, FR = Numbers(language("en")), Numbers(language("fr"))
HOUR, GIB = 3600.0, 2**30


def spaced(text: str) -> str:
    return plain(text).replace(GAP, " ")


@pytest.mark.parametrize(
    ("write", "value", "said"),
    [
        (EN.number, 0, "0"), (EN.number, 4.0, "4"), (EN.number, 4.24, "4.2"), (EN.number, 12.6, "13"),
        (EN.number, 1300.4, "1,300"), (EN.number, 0.04321, "0.043"), (EN.number, 0.55, "0.6"), (EN.number, 9.97, "10"),
        (EN.size, 1.3 * 2**40, "1.3 TiB"), (EN.size, 64 * GIB, "64 GiB"), (EN.size, 0, "0 B"),
        (EN.size, 1023.9 * 2**20, "1 GiB"), (EN.watts, 12_000, "12 kW"), (EN.watts, 620, "620 W"),
        (EN.energy, 0.6 * 3.6e6, "0.6 kWh"), (EN.energy, 0.0031 * 3.6e6, "3.1 Wh"), (EN.energy, 0, "0 kWh"),
        (EN.energy, 2000 * 3.6e6, "2 MWh"), (EN.grams, 18, "18 g"),
        (EN.grams, 2100, "2.1 kg"), (EN.grams, 3e6, "3 t"), (EN.rate, 120e6, "120 MB/s"),
        (EN.duration, 45, "45 s"), (EN.duration, 3 * HOUR + 240, "3 h 04 min"), (EN.duration, 24 * HOUR, "1 d"),
        (EN.duration, 53 * HOUR, "2 d 5 h"), (EN.duration, 3599.9, "1 h"),
        (EN.gpu_hours, 6.1 * HOUR, "6.1 GPU-hours"), (EN.gpu_hours, HOUR, "1 GPU-hour"),
        (EN.cpu_hours, 25.2 * HOUR, "25 CPU-hours"), (EN.percent, 0.42, "42%"), (EN.percent, 0.001, "< 1%"),
        (EN.percent, 0.9999, "> 99%"), (EN.percent, 1.0, "100%"), (EN.percent, 0.0, "0%"), (EN.percent, 1.3, "130%"),
        (FR.number, 4.24, "4,2"), (FR.percent, 0.42, "42 %"), (FR.gpu_hours, 1.5 * HOUR, "1,5 heure-GPU"),
        (FR.gpu_hours, 2 * HOUR, "2 heures-GPU"), (FR.duration, 53 * HOUR, "2 j 5 h"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_people_say_it(write: Any, value: float, said: str) -> None:
    assert spaced(write(value)) == said


def test_money_has_its_currency_and_two_digits_as_long_as_these_count() -> None:
    assert spaced(EN.money(4.1, "CAD")) == "4.10 CAD"
    assert spaced(EN.money(0.001, "CAD")) == "< 0.01 CAD", "never nothing"
    assert spaced(EN.money(0, "CAD")) == "0.00 CAD"
    assert spaced(EN.money(12_345.6, "CAD")) == "12,346 CAD"
    assert spaced(FR.money(4.1, "CAD")) == "4,10 CAD"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "12"])
def test_what_is_not_known_is_never_zero(value: Any) -> None:
    for write in (EN.number, EN.count, EN.size, EN.watts, EN.energy, EN.grams, EN.rate, EN.duration, EN.percent,
                  EN.gpu_hours, EN.cpu_hours, EN.moment, EN.seconds):  # fmt: skip
        assert write(value) == '<span class="unknown">not known</span>'
    assert FR.number(value) == '<span class="unknown">inconnu</span>'


def test_names_beyond_a_few_are_counted() -> None:
    assert EN.listed(["a", "b"]) == "a, b"
    assert EN.listed("abcdefg") == "a, b, c, d, e and 2 more"
