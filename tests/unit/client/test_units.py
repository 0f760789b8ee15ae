"""Amounts as people read them."""

import pytest

from aggregator.client import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (0.04, "<0.1"), (0.094, "<0.1"), (0.095, "0.1"), (1, "1"), (4.24, "4.2"), (9.94, "9.9"),
     (9.96, "10"), (38.4, "38"), (999.4, "999"), (999.6, "1k"), (12_345, "12k"), (1_234_567, "1.2M"), (-3.2, "-3.2")],
)  # fmt: skip
def test_a_number_has_two_or_three_digits_and_what_is_not_known_is_a_dash(value: float | None, text: str) -> None:
    assert units.number(value) == text


def test_amounts_have_peoples_units() -> None:
    assert units.size(1.3 * 2**40) == "1.3 TiB"
    assert (units.size(0), units.size(1023), units.size(2**60 * 5000)) == ("0 B", "1023 B", "5000 EiB")
    assert units.energy(12 * 3.6e6) == "12 kWh"
    assert units.hours(15_120, "GPU-hours") == "4.2 GPU-hours"
    assert units.hours(None, "GPU-hours") == "– GPU-hours"
    assert units.mass(1300) == "1.3 kg"
    assert units.counted(1, "GPU") == "1 GPU"
    assert units.counted(0.9, "CPU") == "0.9 CPUs"
    assert {write(None) for write in (units.size, units.energy, units.power, units.mass, units.percent)} == {"–"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0s"), (59, "59s"), (60, "1m"), (3599, "60m"), (3600, "1h"), (5900, "1.6h"), (86_400, "24h"),
     (2 * 86_400, "2d"), (3.14 * 86_400, "3.1d"), (40 * 86_400, "40d")],
)  # fmt: skip
def test_a_duration_has_one_unit(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(None, "–"), (0.0, "0"), (0.004, "<1"), (0.005, "<1"), (0.006, "1"), (0.144, "14"), (1.0, "100"), (1.3, "130")],
)
def test_a_percentage_of_a_little_is_not_0(ratio: float | None, text: str) -> None:
    assert units.percent(ratio) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("memory_peak_bytes", 2**30, "1 GiB"), ("wasted_cpu_seconds", 7200, "2 CPU-h"),
     ("wasted_gpu_seconds", 0, "0 GPU-h"), ("elapsed_seconds", 90, "1.5m"), ("cpu_efficiency_ratio", 0.5, "50 %"),
     ("energy_joules_total", 3600, "1 Wh"),
     ("node_watts", 1500, "1.5 kW"), ("read_bytes_per_second", 2**20, "1 MiB/s"), ("job_id", 47_451_842, "47451842"),
     ("is_open", True, "yes"), ("wasted_cpus", None, "–"), ("nodes", ["n1", "n2"], "n1,n2"), ("user", "bob", "bob"),
     ("waste", [{"reason": "cpu_low", "value": 0.5}], "cpu_low 0.5"),
     ("coverage", {"cpu": 1.0, "gpu": None}, "cpu=1 gpu=–"),
     ("end_timestamp_seconds", 1e300, "–")],
)  # fmt: skip
def test_any_field_is_written_by_its_name(name: str, value: object, text: str) -> None:
    assert units.field(name, value) == text
