"""Connections on which nothing comes, or nothing is read, do not stop scrapes and health."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.scenarios.site
from tests.faults.door_clients import (
    HALF_HEADER,
    NEVER_READS,
    SILENT,
    Crowd,
    client_of,
    slow_body,
    timed_get,
)
from tests.lab.service import Service
from tests.scenarios.site import Servers, Site

# The service has half of them for connections; a fault takes minutes, or for ever.
DESCRIPTORS = 256
CLIENTS = 5000
GENEROUS_SECONDS = 20.0
REFUSED = "hpc_aggregator_http_refused_total"


def few_descriptors(lab: Site, config: Path) -> Service:
    command = f"ulimit -n {DESCRIPTORS}; exec {sys.executable} -m aggregator serve --config.file={config}"
    return Service(lab, config, ["sh", "-c", command])  # type: ignore[arg-type]


def descriptors(site: Site) -> int:
    return len(list(Path(f"/proc/{site.service.daemon.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def patient(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a service that soon loses its patience."""
    with Site(servers, tmp_path_factory.mktemp("patient")) as site:
        site.config["server"]["bounds"] = {"header_timeout": "1s", "request_timeout": "2s"}
        site.start()
        yield site


def test_health_and_scrapes_are_answered_while_thousands_of_connections_are_held(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.scenarios.site, "Service", few_descriptors)
    site.start()
    before = descriptors(site)
    with Crowd(site.service_port, CLIENTS, (SILENT, HALF_HEADER, NEVER_READS, slow_body(site.cluster))) as crowd:
        for _ in range(10):
            for path in ("/-/healthy", "/-/ready", "/metrics"):
                status, seconds = timed_get(site.service_port, path)
                assert (status, path) == (200, path)
                assert seconds < GENEROUS_SECONDS
        assert crowd.came > CLIENTS
        # Data are as fresh as without them.
        site.refreshed(2)
        assert site.value("hpc_aggregator_http_connections") <= DESCRIPTORS / 2
        assert descriptors(site) < DESCRIPTORS
        assert site.value(REFUSED, reason="evicted") > CLIENTS / 2
    site.wait(lambda: descriptors(site) <= before + 5, "the connections to end")
    log = site.service.daemon.log.read_text()
    assert len(re.findall("clients were turned away.*evicted=", log)) == 1
    assert "Too many open files" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("content", [SILENT, HALF_HEADER])
def test_a_header_that_does_not_come_ends_its_connection(patient: Site, content: bytes) -> None:
    before = patient.value(REFUSED, reason="header_timeout")
    with client_of(patient.service_port, content) as client:
        assert client.was_ended()
    assert patient.value(REFUSED, reason="header_timeout") == before + 1


def test_a_body_that_does_not_come_is_refused(patient: Site) -> None:
    before = patient.value(REFUSED, reason="request_timeout")
    with client_of(patient.service_port, slow_body(patient.cluster)) as client:
        assert client.socket.recv(4096).startswith(b"HTTP/1.1 408")
        assert client.was_ended()
    assert patient.value(REFUSED, reason="request_timeout") == before + 1


def test_an_answer_that_is_not_read_ends(patient: Site) -> None:
    before = patient.value(REFUSED, reason="request_timeout") + patient.value(REFUSED, reason="slow_reader")
    with client_of(patient.service_port, NEVER_READS * 500):
        patient.wait(
            lambda: (
                patient.value(REFUSED, reason="request_timeout") + patient.value(REFUSED, reason="slow_reader") > before
            ),
            "the end of the connection",
        )


def test_a_connection_that_is_used_stays(patient: Site) -> None:
    """More requests than the header's time-out lasts, on one connection."""
    request = b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with client_of(patient.service_port, request) as client:
        for _ in range(2):
            assert client.socket.recv(4096).startswith(b"HTTP/1.1 200")
            # Longer than the time-out of a header: between two requests nobody waits for one.
            patient.refreshed(2)
            client.socket.sendall(request)
        assert client.socket.recv(4096).startswith(b"HTTP/1.1 200")
