"""A service that hangs, stammers or is elsewhere: the time limit holds over everything."""

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aggregator.cli import main
from aggregator.client.errors import ClientError, Misused, Unreachable
from aggregator.client.service import Answer, Api, Call
from aggregator.client.settings import Where

BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


def service(url: str, timeout: float = 30.0, ca_file: str | None = None, token: str | None = None) -> Api:
    return Api(Where(urlsplit(url), token, None, ca_file, timeout))


class Deaf:
    """A server that accepts and says only the beginning of an answer."""

    def __init__(self, says: bytes) -> None:
        self._says, self._held = says, contextlib.ExitStack()
        self._socket = self._held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._held.enter_context(connection).sendall(self._says)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._held.close()


@pytest.fixture(
    params=[b"", b"HTTP/1.1 200 OK\r\n", BEGIN, BEGIN + b'{"data": '], ids=("nothing", "line", "head", "body")
)
def deaf(request: pytest.FixtureRequest) -> Iterator[str]:
    server = Deaf(request.param)
    yield server.url
    server.stop()


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("HPC_AGGREGATOR_TOKEN", "HPC_AGGREGATOR_TOKEN_FILE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize("command", ["digest", "jobs", "quota"])
def test_a_service_that_hangs_ends_a_command_with_3(
    deaf: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, f"--url={deaf}", "--timeout=0.2"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{deaf} does not answer")


@pytest.mark.usefixtures("_settings")
def test_a_digest_of_a_service_that_hangs_says_nothing_if_it_shall_not(
    deaf: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digest", "--quiet-if-down", f"--url={deaf}", "--timeout=0.2"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_limit_holds_while_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that looks names up has no time limit, and no signal interrupts it."""
    found = threading.Event()

    def look_up(*_: Any, **__: Any) -> Any:
        found.wait()
        raise socket.gaierror("never")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Unreachable, match=r"does not answer within 0\.1 s"):
        service("http://hpc.example.org", timeout=0.1).ask(Call("/clusters"))
    found.set()


class Told(http.server.BaseHTTPRequestHandler):
    """A server that keeps what it is told, and is a proxy for all that matters here."""

    seen: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers["Host"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": {}, "warnings": ["late"]}).encode())

    def do_CONNECT(self) -> None:
        self.seen.append((self.command, self.path, None))
        self.send_error(502)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def told() -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    seen: list[tuple[str, str, str | None]] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Told,), {"seen": seen})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_a_path_of_the_url_goes_before_the_apis(told: tuple[str, list[tuple[str, str, str | None]]]) -> None:
    url, seen = told
    asked = Call("/clusters/a%2Fb/jobs", (("user", "é&x"), ("limit", "3")))
    assert service(f"{url}/hpc/").ask(asked) == Answer({}, ("late",))
    assert seen == [("GET", "/hpc/api/v1/clusters/a%2Fb/jobs?user=%C3%A9%26x&limit=3", url.removeprefix("http://"))]


def test_the_proxy_of_the_environment_is_used_but_for_this_host(
    told: tuple[str, list[tuple[str, str, str | None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = told
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.setenv("https_proxy", url)
    service("http://hpc.example.org:9850").ask(Call("/clusters"))
    service(url).ask(Call("/whoami"))
    with pytest.raises(Unreachable):
        service("https://hpc.example.org").ask(Call("/clusters"))
    assert seen == [
        ("GET", "http://hpc.example.org:9850/api/v1/clusters", "hpc.example.org:9850"),
        ("GET", "/api/v1/whoami", url.removeprefix("http://")),
        ("CONNECT", "hpc.example.org:443", None),
    ]
    monkeypatch.setenv("no_proxy", "example.org")
    with pytest.raises(Unreachable):
        service("http://hpc.example.org:9850", timeout=0.5).ask(Call("/clusters"))
    assert len(seen) == 3


def test_of_several_answers_one_may_be_missing(told: tuple[str, list[tuple[str, str, str | None]]]) -> None:
    url, _ = told

    class Missing(Told):
        def do_GET(self) -> None:
            self.send_error(502) if "gone" in self.path else super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Missing,), {"seen": []})) as server:
        threading.Thread(target=server.serve_forever).start()
        found = service(f"http://127.0.0.1:{server.server_port}").ask_all([Call("/gone"), Call("/there")])
        server.shutdown()
    assert isinstance(found[0], ClientError)
    assert found[1] == Answer({}, ("late",))
    assert url


def test_a_host_that_cannot_be_does_not_answer() -> None:
    for host in ("a" * 70 + ".example.org", "a..b"):
        with pytest.raises(Unreachable, match="does not answer"):
            service(f"http://{host}").ask(Call("/clusters"))


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "gone.pem"):
        with pytest.raises(Misused, match=r"--ca-file: .* cannot be read"):
            service("https://127.0.0.1:1", ca_file=str(tmp_path / name)).ask(Call("/clusters"))
