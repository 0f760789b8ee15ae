"""Somebody between the service and MariaDB: offers no TLS, and asks for the password itself."""

import socket
import struct
import threading
from contextlib import suppress

from tests.lab.ports import LOOPBACK

_SALT = b"abcdefgh", b"ijklmnopqrst"
# PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH and what belongs to them; SSL (0x800) is missing.
_CAPABILITIES = 0x0008A20D

NATIVE = "mysql_native_password"


def switch_to(plugin: str) -> bytes:
    """Ask the client to log in by another plugin, with the same random bytes."""
    return b"\xfe" + plugin.encode() + b"\0" + b"".join(_SALT) + b"\0"


class Impostor:
    """Greets as MariaDB does, gives *answer* to the login, and keeps all that it is sent; a context manager."""

    def __init__(self, plugin: str = NATIVE, answer: bytes = b"") -> None:
        self.received: list[bytes] = []
        self._greeting = self.greeting(plugin)
        self._answer = answer
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self._connections: list[threading.Thread] = []

    @staticmethod
    def greeting(plugin: str) -> bytes:
        """Write what a server says first."""
        return (
            b"\x0a5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 1) + _SALT[0] + b"\0"
            + struct.pack("<HBHHB", _CAPABILITIES & 0xFFFF, 33, 2, _CAPABILITIES >> 16, 21)
            + bytes(10) + _SALT[1] + b"\0" + plugin.encode() + b"\0"
        )  # fmt: skip

    def __enter__(self) -> "Impostor":
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def ended(self) -> None:
        """Wait until every connection has been closed by its client."""
        for thread in self._connections:
            thread.join(timeout=20)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
                self._connections.append(thread)
                thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            _send(connection, 0, self._greeting)
            login = self._receive(connection)
            if login and self._answer:
                _send(connection, 2, self._answer)
                while self._receive(connection):
                    pass

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(65_536)
        if data:
            self.received.append(data)
        return data


def _send(connection: socket.socket, number: int, payload: bytes) -> None:
    connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)
