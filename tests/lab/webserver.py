"""Small servers in threads of the tests."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingTCPServer
from typing import Any

from tests.lab.ports import LOOPBACK, free_port


class LoopbackServer:
    """Answers on a loopback port of its own; the handler reaches it as its `owner`."""

    def __init__(self, kind: type[ThreadingHTTPServer] | type[ThreadingTCPServer], handler: type[Any]) -> None:
        self.port = free_port()
        owned: Any = type(handler.__name__, (handler,), {"owner": self})
        self._server = kind((LOOPBACK, self.port), owned)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class WebServer(LoopbackServer):
    """Answers HTTP."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(ThreadingHTTPServer, handler)
