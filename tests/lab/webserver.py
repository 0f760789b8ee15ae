"""A small web server in a thread of the tests."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.lab.ports import LOOPBACK, free_port


class WebServer:
    """Answers on a loopback port of its own; the handler reaches it as its `owner`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.port = free_port()
        owned: Any = type(handler.__name__, (handler,), {"owner": self})
        self._server = ThreadingHTTPServer((LOOPBACK, self.port), owned)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
