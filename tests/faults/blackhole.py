"""A server that accepts and never answers, and one that stops to answer: no reset ever ends a connection."""

import socket
import threading
from contextlib import suppress

from tests.lab.ports import LOOPBACK


class Blackhole:
    """Pass connections on to a port, unless `is_silent`: then they stay open and nothing is answered, for ever."""

    def __init__(self, upstream: int) -> None:
        self.is_silent = True
        self.accepted = 0
        self._upstream = upstream
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                self._sockets.append(client)
                if not self.is_silent:
                    server = socket.create_connection((LOOPBACK, self._upstream))
                    self._sockets.append(server)
                    for pair in ((client, server), (server, client)):
                        threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                if self.is_silent:
                    # This connection is dead from now on, and nobody is told.
                    return
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)
