"""Faults, each with the way back: what a year brings to a service, in a minute."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from tests.faults.door_clients import HALF_HEADER, NEVER_READS, SILENT, Crowd, slow_body
from tests.scenarios.proxy import Fault, empty, unavailable
from tests.scenarios.site import Site

_CROWD = 1000
Provocation = Callable[[Site], AbstractContextManager[None]]


@contextmanager
def database_away(site: Site) -> Iterator[None]:
    """MariaDB is killed, as by the machine's going down."""
    site.mariadb.kill()
    try:
        yield
    finally:
        site.mariadb.start()


@contextmanager
def tables_locked(site: Site) -> Iterator[None]:
    """Somebody alters the job table: reads of it wait."""
    with closing(site.mariadb.connect(site.database)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLES `{site.cluster}_job_table` WRITE")
        yield
        cursor.execute("UNLOCK TABLES")


@contextmanager
def connections_killed(site: Site) -> Iterator[None]:
    """The administrator kills every connection of the service."""
    for (number,) in site.mariadb.execute(
        "SELECT id FROM information_schema.processlist WHERE user='scenario' AND command='Sleep'"
    ):
        site.mariadb.execute(f"KILL {number}")
    yield


def prometheus_answers(fault: Fault) -> Provocation:
    """Prometheus gives these answers."""

    @contextmanager
    def provoke(site: Site) -> Iterator[None]:
        site.proxy.fault = fault
        try:
            yield
        finally:
            site.proxy.fault = None

    return provoke


@contextmanager
def prometheus_hangs(site: Site) -> Iterator[None]:
    """Prometheus takes queries and does not answer."""
    healed = threading.Event()

    def wait(path: str, parameters: dict[str, str]) -> None:
        healed.wait(60)

    site.proxy.fault = wait
    try:
        yield
    finally:
        site.proxy.fault = None
        healed.set()


@contextmanager
def crowd(site: Site) -> Iterator[None]:
    """Clients connect and say nothing, send half of something, or do not read."""
    with Crowd(site.service_port, _CROWD, (SILENT, HALF_HEADER, NEVER_READS, slow_body(site.cluster))):
        yield


@contextmanager
def reloaded(site: Site) -> Iterator[None]:
    """A script sends SIGHUP in a loop."""
    for _ in range(20):
        site.service.daemon.hang_up()
    yield


@contextmanager
def state_deleted(site: Site) -> Iterator[None]:
    """Somebody clears the folder of the state."""
    for file in site.root.glob("state.db*"):
        file.unlink()
    yield


@contextmanager
def state_damaged(site: Site) -> Iterator[None]:
    """The disk has written something else over the state."""
    file = site.root / "state.db"
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(b"\xa5" * max(0, file.stat().st_size - 4096))
    yield
    for kept in site.root.glob("state.db.corrupt-*"):
        kept.unlink()


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """The service is killed and started again."""
    site.service.kill()
    site.service.start()
    yield


@contextmanager
def restarted(site: Site) -> Iterator[None]:
    """The service is told to end, and started again."""
    assert site.service.terminate(10) == 0
    site.service.start()
    yield


FAULTS: dict[str, Provocation] = {
    "MariaDB is killed": database_away,
    "the job table is locked": tables_locked,
    "all connections to MariaDB are killed": connections_killed,
    "Prometheus answers 503": prometheus_answers(unavailable),
    "Prometheus has no series": prometheus_answers(empty),
    "Prometheus answers nonsense": prometheus_answers(lambda path, parameters: (200, b'{"status":"succ')),
    "Prometheus does not answer": prometheus_hangs,
    "1,000 clients that hang": crowd,
    "SIGHUP, 20 times": reloaded,
    "the state is deleted": state_deleted,
    "the state is damaged": state_damaged,
    "kill -9": killed,
    "SIGTERM": restarted,
}
# Between these nobody can be answered.
RESTARTS = {"kill -9", "SIGTERM"}
