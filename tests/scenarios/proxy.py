"""What stands between the service and Prometheus, so that single answers can be made to fail."""

import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab.ports import LOOPBACK, free_port

EMPTY_VECTOR = (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}')
EMPTY_MATRIX = (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}')
UNAVAILABLE = (503, b"busy")
_GZIP = b"\x1f\x8b"

# The path and the parameters of a request → the answer to give instead of Prometheus's, None to pass it on.
Fault = Callable[[str, dict[str, str]], tuple[int, bytes] | None]


def empty(path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
    """Answer every query with no series."""
    return EMPTY_MATRIX if path.endswith("/query_range") else EMPTY_VECTOR


def unavailable(path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
    """Answer every query with 503."""
    return UNAVAILABLE


def only(text: str, fault: Fault) -> Fault:
    """Spoil the queries that contain this text."""
    return lambda path, parameters: fault(path, parameters) if text in parameters.get("query", "") else None


class Proxy:
    """Pass requests on to *upstream*, but for those that `fault` answers; `queries` has all that were asked.

    `authorization` is the header of the newest request.
    """

    def __init__(self, upstream: str) -> None:
        self.fault: Fault | None = None
        self.queries: list[str] = []
        self.authorization: str | None = None
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass(b"")

            def do_POST(self) -> None:
                self._pass(self.rfile.read(int(self.headers["Content-Length"])))

            def _pass(self, body: bytes) -> None:
                path, _, query = self.path.partition("?")
                parameters = dict(urllib.parse.parse_qsl(query) + urllib.parse.parse_qsl(body.decode()))
                outer.authorization = self.headers["Authorization"]
                outer.queries.append(parameters.get("query", ""))
                instead = outer.fault(path, parameters) if outer.fault else None
                status, content = instead or self._ask(upstream + self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status != 503 else "text/plain")
                if content.startswith(_GZIP):
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(content)))
                # The service may have been killed meanwhile.
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(content)

            def _ask(self, url: str, body: bytes) -> tuple[int, bytes]:
                headers = {"Content-Type": self.headers["Content-Type"]} if body else {}
                request = urllib.request.Request(url, body or None, headers)
                try:
                    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                        request, timeout=30
                    ) as answer:
                        return answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, error.read()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # A service asks for everything at once; a connection that finds no place is tried again a second later.
            request_queue_size = 128

        self._server = Server((LOOPBACK, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
