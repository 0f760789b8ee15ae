import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import (
    ConfigError,
    ListenAddress,
    format_duration,
    format_size,
    parse,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2w", 1209600),
        ("1y", 31536000),
        ("0s", 0),
        ("1y2w3d4h5m6s7ms", 31536000 + 1209600 + 259200 + 14400 + 306 + 0.007),
    ],
)
def test_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "1.5h", "-5m", "30m1h", "1 h", "5m\n", "٣s", "300y", "9" * 400 + "s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@given(st.integers(0, 290 * 365 * 86_400_000))
def test_duration_round_trip(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0B", 0), ("1B", 1), ("100MB", 100 * 2**20), ("4GiB", 4 * 2**30), ("10TB", 10 * 2**40), ("1.5KiB", 1536)],
)
def test_size_is_read_as_prometheus_reads_it(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "4", "4G", "-1MB", "0.3B", "4 GB", "8EB", "4gb"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|bytes"):
        parse_size(text)


@given(st.integers(0, 2**63 - 1))
def test_size_round_trip(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        (":9850", "", 9850, False),
        ("127.0.0.1:9850", "127.0.0.1", 9850, True),
        ("127.9.9.9:0", "127.9.9.9", 0, True),
        ("[::1]:9850", "::1", 9850, True),
        ("[::]:9850", "::", 9850, False),
        ("0.0.0.0:9850", "0.0.0.0", 9850, False),
        ("localhost:9850", "localhost", 9850, True),
        ("login1:9850", "login1", 9850, False),
    ],
)
def test_listen_address(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = ListenAddress.parse(text)

    assert (host, port, is_loopback) == (address.host, address.port, address.is_loopback)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "9850", "127.0.0.1", "::1:9850", "[127.0.0.1]:9850", ":65536", "a b:1", ":x"])
def test_other_listen_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|[Aa]t |Expected|Only"):
        ListenAddress.parse(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "/etc/passwd", "../UTC", "America/Toronto\0"])
def test_a_time_zone_that_this_machine_does_not_know_is_named(zone: str) -> None:
    with pytest.raises(ConfigError, match=r"clusters\.narval.slurmacct\.timezone: must be a time zone"):
        parse(f"clusters: {{ narval: {{ slurmacct: {{ host: a, user: b, timezone: {json.dumps(zone)} }},"
              " prometheus: { url: 'http://p:9090' } } }")  # fmt: skip


@pytest.mark.parametrize("day", ["04-31", "13-01", "4/1", "2001-04-01", "", "04-01x"])
def test_a_fiscal_year_begins_on_a_day_of_every_year(day: str) -> None:
    with pytest.raises(ConfigError, match=r"usage\.fiscal_year_start: must be a month and a day of every year"):
        parse(f"usage: {{ fiscal_year_start: {json.dumps(day)} }}")
    assert parse("{ usage: { fiscal_year_start: '04-01' }, filesystems: { f: {} } }").usage.fiscal_year_start == (4, 1)
