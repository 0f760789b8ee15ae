"""Clients that hold a connection and do nothing good with it."""

import contextlib
import http.client
import resource
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.lab.ports import LOOPBACK

SILENT: Final = b""
HALF_HEADER: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half:"
NEVER_READS: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def slow_body(cluster: str) -> bytes:
    """Give the beginning of a delivery whose end does not come."""
    path = f"/api/v1/clusters/{cluster}/jobscripts/1"
    return f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nslow".encode()


class Client:
    """One connection that sends what it was given, and then neither sends nor reads."""

    def __init__(self, port: int, content: bytes, address: str = LOOPBACK) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.bind((address, 0))
        self.socket.connect((LOOPBACK, port))
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(content)

    def was_ended(self, timeout: float = 30.0) -> bool:
        """Wait until the service has ended the connection, having read all that it had sent."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()


class Crowd:
    """So many clients at once; who is turned away comes again, until the crowd ends."""

    def __init__(self, port: int, size: int, kinds: Sequence[bytes]) -> None:
        _have_descriptors(size + 500)
        self._port, self._size, self._kinds = port, size, kinds
        self._clients: list[Client] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._come_again, daemon=True)
        self.came = 0

    def __enter__(self) -> "Crowd":
        for _ in range(self._size):
            self._come()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _come(self) -> None:
        with contextlib.suppress(OSError):
            self._clients.append(Client(self._port, self._kinds[self.came % len(self._kinds)]))
        self.came += 1

    def _come_again(self) -> None:
        while not self._ended.wait(0.02):
            self._come()
            self._clients.pop(0).close()


def _have_descriptors(wanted: int) -> None:
    """Let this process hold so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))


def timed_get(port: int, path: str, timeout: float = 30.0) -> tuple[int, float]:
    """Give the status and the seconds of a request on a connection of its own."""
    begin = time.monotonic()
    with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - begin


@contextlib.contextmanager
def client_of(port: int, content: bytes) -> Iterator[Client]:
    """Hold one such connection."""
    client = Client(port, content)
    try:
        yield client
    finally:
        client.close()
