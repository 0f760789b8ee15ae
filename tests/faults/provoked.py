"""Faults, each with the way back: what a year brings to a service, in a minute."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

from tests.lab.ports import LOOPBACK
from tests.scenarios.proxy import Fault, empty, unavailable
from tests.scenarios.site import Site

_IDLE = 200
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
def idle_clients(site: Site) -> Iterator[None]:
    """Clients connect and say nothing."""
    with ExitStack() as stack:
        for _ in range(_IDLE):
            stack.enter_context(socket.create_connection((LOOPBACK, site.service_port), timeout=10))
        yield


@contextmanager
def reloaded(site: Site) -> Iterator[None]:
    """The administrator sends SIGHUP, and again."""
    site.service.daemon.hang_up()
    site.service.daemon.hang_up()
    yield


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
    "200 clients connect and say nothing": idle_clients,
    "SIGHUP, twice": reloaded,
    "kill -9": killed,
    "SIGTERM": restarted,
}
# Between these nobody can be answered.
RESTARTS = {"kill -9", "SIGTERM"}
