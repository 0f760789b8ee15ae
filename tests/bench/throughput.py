"""How many requests the service answers in a second of its CPU, and how many bare aiohttp does that sends the same."""

import base64
import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from tests.bench.clocks import cpu_seconds
from tests.bench.figures import Figure
from tests.bench.running import Running
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, lab_environment

_REPOSITORY = Path(__file__).resolve().parents[2]
# Not those of the connection, which aiohttp adds itself.
_OF_A_CONNECTION = frozenset(
    {"content-length", "transfer-encoding", "connection", "date", "server", "content-encoding"}
)
_CLIENTS = 2
# Below what the demo lets one address ask for at once.
_MOST_REQUESTS = 1500
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Question:
    """What is asked, with which headers."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A process that answers at a port of loopback."""

    port: int
    pid: int


def measure(place: Running, seconds: float) -> dict[str, Figure]:
    """Ask the service, at rest, and bare aiohttp for so many seconds each, with each question."""
    ours = Server(int(place.service.url.rpartition(":")[2]), place.pid)
    with place.at_rest():
        questions = _questions(place, ours)
        with bare(place.service.daemon.log.parent, ours, questions) as reference:
            return {
                name: Figure(
                    _rate(ours, question, seconds), _rate(reference, replace(question, path=_bare(question)), seconds)
                )
                for name, question in questions.items()
            }


def _questions(place: Running, ours: Server) -> dict[str, Question]:
    many = place.below("/jobs?limit=100")
    _, headers, _ = _get(ours, Question(many))
    not_modified = Question(many, {"If-None-Match": headers["etag"]})
    status, _, _ = _get(ours, not_modified)
    assert status == HTTPStatus.NOT_MODIFIED, f"{many} with its ETag: {status}"
    return {
        "requests_list": Question(many),
        "requests_job": Question(place.below(f"/jobs/{place.running_job()}")),
        "requests_304": not_modified,
        "requests_healthy": Question("/-/healthy"),
    }


@contextmanager
def bare(root: Path, ours: Server, questions: Mapping[str, Question]) -> Iterator[Server]:
    """Run bare aiohttp with the answers of the service, each at a path of its own."""
    ready = {_bare(question): _answer(ours, question) for question in questions.values()}
    file, port = root / "bare.json", free_port()
    file.write_text(json.dumps(ready))
    daemon = Daemon(
        "bare aiohttp", [sys.executable, "-m", "tests.bench.bare", str(port), str(file)], log=root / "bare.log",
        env=lab_environment(root, PYTHONPATH=str(_REPOSITORY)), ready=lambda: answers(port),
    )  # fmt: skip
    daemon.start()
    try:
        assert daemon.pid is not None
        yield Server(port, daemon.pid)
    finally:
        daemon.stop()


def _answer(ours: Server, question: Question) -> dict[str, object]:
    status, headers, body = _get(ours, question)
    kept = {name: value for name, value in headers.items() if name not in _OF_A_CONNECTION}
    return {"status": status, "headers": kept, "body": base64.b64encode(body).decode()}


def _bare(question: Question) -> str:
    """Give the path alone, one more for the answer without a body: the router does not look at the rest."""
    return question.path.partition("?")[0] + ("/304" if question.headers else "")


def _rate(server: Server, question: Question, seconds: float) -> float:
    """Give the requests that are answered in a second of the server's CPU."""
    status, _, _ = _get(server, question)
    before, end = cpu_seconds(server.pid), time.monotonic() + seconds

    def ask(_: int) -> int:
        connection, count = http.client.HTTPConnection(LOOPBACK, server.port, timeout=_TIMEOUT), 0
        while time.monotonic() < end and count < _MOST_REQUESTS / _CLIENTS:
            connection.request("GET", question.path, headers=dict(question.headers))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, f"{question.path}: {answer.status}"
            count += 1
        connection.close()
        return count

    with ThreadPoolExecutor(_CLIENTS) as pool:
        count = sum(pool.map(ask, range(_CLIENTS)))
    return count / (cpu_seconds(server.pid) - before)


def _get(server: Server, question: Question) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=_TIMEOUT)
    connection.request("GET", question.path, headers=dict(question.headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
