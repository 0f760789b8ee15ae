"""API clients that ask again and again while something happens to the service."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.scenarios.site import Site

# All of them together stay below what one address may ask.
_PAUSE = 0.3


class Clients:
    """What clients were answered: how often, and what was no success."""

    def __init__(self) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self.ended = threading.Event()

    def poll(self, site: Site, path: str) -> None:
        while not self.ended.wait(_PAUSE):
            try:
                status, body = site.service.get(path)
            except OSError as error:
                status, body = 0, repr(error).encode()
            self.answers += 1
            if status != 200:
                self.failures.append(f"{path}: {status} {body[:300]!r}")


@contextmanager
def polled(site: Site, paths: Sequence[str]) -> Iterator[Clients]:
    """Let one client ask for each path, one request after the other."""
    clients = Clients()
    threads = [threading.Thread(target=clients.poll, args=(site, path)) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.ended.set()
        for thread in threads:
            thread.join()


def paths(site: Site, *more: str) -> tuple[str, ...]:
    """Give what monitors and people ask for all day."""
    return ("/-/ready", "/metrics", f"/api/v1/clusters/{site.cluster}/jobs", "/api/v1/status", *more)
