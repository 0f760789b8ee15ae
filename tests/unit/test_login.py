"""Whatever a server sends while we log in, the password does not leave, and what comes is an error of the driver."""

import asyncio
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.err import MySQLError

from aggregator.login import Connection, LoginRefusedError, TooLargeError
from tests.faults.bombs_server import Impostor, switch_to

PASSWORD = "a secret of the tests"
# What a driver may stumble over in bytes of no sense; sources/mysql.py makes a FetchError of each.
STUMBLES = (MySQLError, OSError, EOFError, struct.error, RuntimeError, ValueError, AttributeError, IndexError)
PLUGINS = ["mysql_native_password", "caching_sha2_password", "sha256_password", "mysql_clear_password", "dialog", ""]
PACKETS = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda plugin, rest: b"\xfe" + plugin.encode() + rest, st.sampled_from(PLUGINS), st.binary(max_size=30)),
    st.builds(switch_to, st.sampled_from(PLUGINS)),
    st.builds(lambda rest: b"\x01" + rest, st.binary(max_size=4)),
)


class Wire:
    """What is written to a server, and what it has sent."""

    def __init__(self, sent: bytes) -> None:
        self.written = b""
        self._reader = asyncio.StreamReader()
        self._reader.feed_data(sent)
        self._reader.feed_eof()
        self.transport = self

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def packets(payloads: list[bytes]) -> bytes:
    # The greeting is 0, and each of ours has a number, too.
    return b"".join(
        struct.pack("<I", len(payload))[:3] + bytes([2 * place]) + payload for place, payload in enumerate(payloads)
    )


def log_in(payloads: list[bytes]) -> tuple[bytes, Exception | None]:
    """Log in to a server that says these; give what it gets, and the error."""

    async def run() -> tuple[bytes, Exception | None]:
        connection = Connection(user="reader", password=PASSWORD)
        wire = Wire(packets(payloads))
        connection._reader, connection._writer = wire._reader, wire
        connection._next_seq_id = 0
        try:
            await connection._get_server_information()
            await connection._request_authentication()
        except STUMBLES as error:
            return wire.written, error
        finally:
            connection._writer = None
        return wire.written, None

    return asyncio.run(run())


@settings(max_examples=4 * settings.default.max_examples)  # type: ignore[union-attr]
@given(st.sampled_from(PLUGINS), st.lists(PACKETS, max_size=4))
def test_the_password_does_not_leave_whatever_is_sent(plugin: str, answers: list[bytes]) -> None:
    written, _ = log_in([Impostor.greeting(plugin), *answers])
    assert PASSWORD.encode() not in written
    # RSA's answer is as long as its key; a hash has 20 or 32 bytes, and the name of its plugin.
    assert len(written) < 700


@given(st.sampled_from(["mysql_clear_password", "mysql_old_password", "sha256_password"]), st.binary(max_size=30))
def test_who_asks_for_the_password_is_refused(plugin: str, rest: bytes) -> None:
    _, error = log_in([Impostor.greeting("mysql_native_password"), b"\xfe" + plugin.encode() + b"\0" + rest])
    assert isinstance(error, LoginRefusedError)


@pytest.mark.parametrize(("allowed", "fits"), [(10, True), (9, False), (0, False)])
async def test_what_was_not_allowed_is_not_read(allowed: int, fits: bool) -> None:
    connection = Connection(user="reader", password=PASSWORD)
    wire = Wire(b"0123456789")
    connection._reader, connection._writer = wire._reader, wire
    connection.allow(allowed)
    if fits:
        assert await connection._read_bytes(10) == b"0123456789"
        connection._writer = None
    else:
        with pytest.raises(TooLargeError):
            await connection._read_bytes(10)
        assert connection.closed
