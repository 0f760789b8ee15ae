"""Scrapers and clients of the API, all at once, and what they were answered."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle

from tests.lab.service import Service

SCRAPE, API = "scrape", "api"
# Nobody was there to answer, or the answer broke off.
NO_ANSWER = 0
# Counters that begin anew with the process, as all exporters have them.
_OF_A_PROCESS = ("hpc_aggregator_", "process_", "python_")
# Twenty clients then ask for about as much as a portal with many readers does, and for less than one address may.
_PAUSE = 1.5
_MOST_FAILURES = 100
_STARTED = "process_start_time_seconds"
_TIMEOUT = 60.0


class Load:
    """
    So many scrapers and clients ask until it is closed, each client every *pause* seconds; a context manager.

    `failures` has the first answers that were no success, with their paths. `answered` counts (kind, status), `slowest`
    has the longest answer of each kind in seconds. `gone_back` has what counters of `/metrics` were smaller than in the
    scrape before; their last values are in `counters`.
    """

    def __init__(
        self, service: Service, paths: Sequence[str], *, scrapers: int = 4, clients: int = 20, pause: float = _PAUSE
    ) -> None:
        self.failures: list[str] = []
        self.answered: Counter[tuple[str, int]] = Counter()
        self.slowest: dict[str, float] = {}
        self.gone_back: set[str] = set()
        self._service = service
        self._pause = pause
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.counters: dict[str, float] = {}
        # One of the scrapers reads what it gets.
        readers = [threading.Thread(target=self._scrape, args=(number == 0,)) for number in range(scrapers)]
        users = [threading.Thread(target=self._ask, args=(cycle([*paths[n:], *paths[:n]]),))
                 for n in (number % len(paths) for number in range(clients))]  # fmt: skip
        self._threads = readers + users

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT)

    def statuses(self, kind: str) -> set[int]:
        """Give the statuses of all answers of a kind since `forget`."""
        with self._lock:
            return {status for (of, status), count in self.answered.items() if of == kind and count}

    def count(self, kind: str) -> int:
        """Count the answers of a kind since `forget`."""
        with self._lock:
            return sum(count for (of, status), count in self.answered.items() if of == kind and status != NO_ANSWER)

    def forget(self) -> Counter[tuple[str, int]]:
        """Begin to count anew; give what was counted."""
        with self._lock:
            counted, self.answered, self.gone_back = self.answered, Counter(), set()
        return counted

    def _scrape(self, reads: bool) -> None:
        while not self._ended.wait(1.0):
            body = self._get(SCRAPE, "/metrics")
            if reads and body:
                self._compare(body.decode())

    def _ask(self, paths: Iterator[str]) -> None:
        while not self._ended.wait(self._pause):
            self._get(API, next(paths))

    def _get(self, kind: str, path: str) -> bytes:
        started = time.monotonic()
        status, body = self.answer(path)
        with self._lock:
            self.answered[kind, status] += 1
            if status != 200 and len(self.failures) < _MOST_FAILURES:
                self.failures.append(f"{path}: {status} {body[:300]!r}")
            self.slowest[kind] = max(self.slowest.get(kind, 0.0), time.monotonic() - started)
        return body if status == 200 else b""

    def answer(self, path: str) -> tuple[int, bytes]:
        """Ask once; the status, NO_ANSWER where there is none, and the body."""
        try:
            return self._service.get(path, timeout=_TIMEOUT)
        # The second: the body ended too early.
        except (OSError, http.client.HTTPException):
            return NO_ANSWER, b""

    def _compare(self, page: str) -> None:
        """Note what counters have gone back; a process that has started anew begins its own anew."""
        found = dict(_counters(page))
        if found.get(_STARTED) != self.counters.get(_STARTED):
            self.counters = {name: value for name, value in self.counters.items() if not name.startswith(_OF_A_PROCESS)}
        self.gone_back |= {
            f"{name}: {self.counters[name]} → {value}"
            for name, value in found.items()
            if value < self.counters.get(name, value) * (1 - 1e-12)
        }
        self.counters |= found


def _counters(page: str) -> Iterator[tuple[str, float]]:
    for line in page.splitlines():
        name, _, value = line.rpartition(" ")
        family = name.partition("{")[0]
        if (family.endswith("_total") and not line.startswith("#")) or family == _STARTED:
            yield name, float(value)
