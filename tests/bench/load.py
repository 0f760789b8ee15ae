"""Scrapers and clients of the API in a process of their own, and how long each answer took.

    python -m tests.bench.load URL THREADS PAUSE PATH …

Each thread asks for the paths in turn, with a connection that it keeps, until the standard input ends. Then each path's
seconds are printed as JSON, and how many answers were none.
"""

import gc
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_TIMEOUT = 60.0
_REPOSITORY = Path(__file__).resolve().parents[2]
_HEADERS = {"Accept-Encoding": "gzip"}


class Answers(NamedTuple):
    """The seconds until the last byte of each answer, by path, and how many were no success."""

    seconds: dict[str, list[float]]
    failures: int


class Client(threading.Thread):
    """Asks for paths in turn, one after the other."""

    def __init__(self, url: str, paths: Sequence[str], pause: float, ended: threading.Event) -> None:
        super().__init__()
        self.seconds: dict[str, list[float]] = {path: [] for path in paths}
        self.failures = 0
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT)
        self._pause = pause
        self._ended = ended

    def run(self) -> None:
        for path in cycle(self.seconds):
            if self._ended.wait(self._pause):
                return
            began = time.perf_counter()
            if self._ask(path):
                self.seconds[path].append(time.perf_counter() - began)
            else:
                self.failures += 1

    def _ask(self, path: str) -> bool:
        try:
            self._connection.request("GET", path, headers=_HEADERS)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return answer.status == 200


@contextmanager
def asking(url: str, threads: int, pause: float, paths: Sequence[str]) -> Iterator[list[Answers]]:
    """Ask while the body runs; the answers are in the list after it."""
    command = [sys.executable, "-m", "tests.bench.load", url, str(threads), str(pause), *paths]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_REPOSITORY, text=True)
    found: list[Answers] = []
    try:
        yield found
        output, _ = process.communicate()
        found.append(Answers(**json.loads(output)))
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Ask until the standard input ends."""
    url, threads, pause, *paths = sys.argv[1:]
    # Its pauses would be taken for the service's.
    gc.disable()
    ended = threading.Event()
    clients = [
        Client(url, [*paths[n:], *paths[:n]], float(pause), ended)
        for n in (i % len(paths) for i in range(int(threads)))
    ]
    for client in clients:
        client.start()
    sys.stdin.read()
    ended.set()
    for client in clients:
        client.join()
    seconds = {path: [each for client in clients for each in client.seconds[path]] for path in paths}
    print(json.dumps({"seconds": seconds, "failures": sum(client.failures for client in clients)}))


if __name__ == "__main__":
    main()
