"""Requests that are given up, take too long or are too many are not at the cost of others."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.faults.door_clients import Client
from tests.lab.ports import LOOPBACK
from tests.scenarios.proxy import UNAVAILABLE
from tests.scenarios.site import Servers, Site

REFUSED = "hpc_aggregator_http_refused_total"
IN_FLIGHT = "hpc_aggregator_http_requests_in_flight"
# Of a graph: only the tests ask for such steps.
STEPS = range(11, 40)
HONEST_STEP = 41
SECRET = "hpca_a1b2c3d4_secretsecretsecret"


class SlowGraphs:
    """Prometheus does not answer the queries of some graphs, until it is released."""

    def __init__(self, site: Site) -> None:
        self.begun: list[int] = []
        self._released = threading.Event()
        site.proxy.fault = self._fault

    def _fault(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes] | None:
        step = int(float(parameters.get("step", 0)))
        if path.endswith("/query_range") and step in STEPS:
            self.begun.append(step)
            self._released.wait(60)
            return UNAVAILABLE
        return None

    def release(self) -> None:
        self._released.set()


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(servers, tmp_path_factory.mktemp("requests")) as site:
        site.config["server"]["bounds"] = {"request_timeout": "6s", "expensive_at_once": 2, "requests_per_second": 1}
        site.config["log"] = {"level": "debug"}
        site.job(500)
        site.samples.job(500)
        site.start()
        yield site


@pytest.fixture
def slow(site: Site) -> Iterator[SlowGraphs]:
    slow = SlowGraphs(site)
    yield slow
    slow.release()
    site.proxy.fault = None
    site.wait(lambda: site.value(IN_FLIGHT) == 1, "the requests to end")


def graph(site: Site, step: int) -> str:
    """Give the path of a graph that is the same one whenever it is asked for."""
    end = int(site.samples.zero)
    return f"/api/v1/clusters/{site.cluster}/jobs/500/series?metric=cpu&start={end - 120}&end={end}&step={step}"


def content(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", *(headers or ("Host: 127.0.0.1",)), "", "")
    return "\r\n".join(lines).encode("latin-1")


def ask(site: Site, path: str, *headers: str, address: str = LOOPBACK, method: str = "GET") -> tuple[int, str]:
    """Give the status of an answer, and the whole of it."""
    client = Client(site.service_port, content(path, *(headers or ("Host: 127.0.0.1",)), "Connection: close",
                                               method=method), address)  # fmt: skip
    answer = b"".join(iter(lambda: client.socket.recv(65536), b"")).decode("latin-1")
    client.close()
    return int(answer.split()[1]), answer


def test_what_clients_gave_up_ends_and_the_next_has_its_turn(site: Site, slow: SlowGraphs) -> None:
    """Eight that have left do not go on asking Prometheus, nor does an honest ninth wait for them."""
    expired = site.value(REFUSED, reason="request_timeout")
    addresses = [f"127.0.1.{number}" for number in range(1, 9)]
    left = [
        Client(site.service_port, content(graph(site, step)), address)
        for step, address in zip(STEPS, addresses, strict=False)
    ]
    site.wait(lambda: len(slow.begun) >= 4, "the queries to begin")
    for client in left:
        client.close()
    site.wait(lambda: site.value(IN_FLIGHT) == 1, "the requests to end")
    # Their leaving ended them, not their deadline.
    assert site.value(REFUSED, reason="request_timeout") == expired
    begun = len(slow.begun)
    assert ask(site, graph(site, HONEST_STEP))[0] == 200
    assert len(slow.begun) == begun


def test_a_read_goes_on_while_one_still_waits_for_it(site: Site, slow: SlowGraphs) -> None:
    step = STEPS[10]
    first = Client(site.service_port, content(graph(site, step)), "127.0.2.1")
    site.wait(lambda: slow.begun == [step], "the query")
    second = Client(site.service_port, content(graph(site, step)), "127.0.2.2")
    site.wait(lambda: site.value(IN_FLIGHT) == 3, "both requests")
    first.close()
    site.wait(lambda: site.value(IN_FLIGHT) == 2, "the first to end")
    # Prometheus was asked once, and answers for the one who stayed.
    assert slow.begun == [step]
    slow.release()
    assert second.socket.recv(4096).startswith(b"HTTP/1.1 503")
    second.close()


def test_what_takes_too_long_is_answered_504_in_the_envelope(site: Site, slow: SlowGraphs) -> None:
    before = site.value(REFUSED, reason="request_timeout")
    status, answer = ask(site, graph(site, STEPS[11]))
    assert status == 504
    assert json.loads(answer.partition("\r\n\r\n")[2])["errorType"] == "timeout"
    assert site.value(REFUSED, reason="request_timeout") == before + 1


def test_who_asks_for_much_at_once_waits_behind_itself_only(site: Site, slow: SlowGraphs) -> None:
    """Of the 26 requests of one client two are under way, 16 wait, the others are told to come again."""
    before = site.value(REFUSED, reason="busy")
    greedy = [Client(site.service_port, content(graph(site, step)), "127.0.3.1") for step in STEPS[:26]]
    site.wait(lambda: site.value(REFUSED, reason="busy") == before + 8, "the refusals")
    answers = [client.socket.recv(4096) for client in greedy[18:]]
    assert all(answer.startswith(b"HTTP/1.1 503") and b"Retry-After: 5" in answer for answer in answers)
    assert len(set(slow.begun)) == 2
    assert ask(site, graph(site, HONEST_STEP + 1), address="127.0.3.2")[0] == 200
    for client in greedy:
        client.close()


def test_who_asks_too_often_is_told_when_to_ask_again(site: Site) -> None:
    path, address = "/api/v1/whoami", "127.0.4.1"
    before = site.value(REFUSED, reason="rate")
    client = Client(site.service_port, content(path) * 400, address)
    site.wait(lambda: site.value(REFUSED, reason="rate") > before, "the first refusal")
    status, answer = ask(site, path, address=address)
    assert (status, "Retry-After: 1" in answer) == (429, True)
    assert json.loads(answer.partition("\r\n\r\n")[2])["errorType"] == "rate_limited"
    assert [ask(site, other, address=address)[0] for other in ("/metrics", "/-/healthy", "/-/ready")] == [200] * 3
    assert ask(site, path, address="127.0.4.2")[0] == 200
    client.close()


@pytest.mark.parametrize("broken", ["X-A: \x00", "X-A: \x0b", "X-A\x7f: 1", "X-\x0bA: 1"])
def test_a_token_beside_a_broken_header_does_not_reach_the_log(site: Site, broken: str) -> None:
    before = site.value(REFUSED, reason="malformed")
    for header in (broken, f"Authorization: Bearer {SECRET}{broken[-1]}\x00"):
        status, _ = ask(site, "/metrics", f"Authorization: Bearer {SECRET}", header)
        assert status == 400
    assert site.value(REFUSED, reason="malformed") == before + 2
    log = site.service.daemon.log.read_text()
    assert "level=debug logger=aggregator.app.client_errors" in log
    assert SECRET not in log
    assert [line for line in log.splitlines() if "Traceback" in line] == []


def hosts(site: Site, names: Sequence[str], path: str) -> list[int]:
    return [ask(site, path, f"Host: {name}")[0] for name in names]


def test_only_under_its_own_names_it_answers_those_without_credentials(site: Site) -> None:
    own = ["127.0.0.1", f"localhost:{site.service_port}", "[::1]:9850", "10.1.2.3", socket.gethostname()]
    assert hosts(site, own, "/api/v1/clusters") == [200] * len(own)
    foreign = ["evil.example", "evil.example:9850", "localhost.evil.example", "127.0.0.1.evil.example", "[::1"]
    assert hosts(site, foreign, "/api/v1/clusters") == [421] * len(foreign)
    # It listens on loopback only: nobody needs another name to scrape.
    assert hosts(site, foreign[:1], "/metrics") == [421]
    assert hosts(site, foreign[:1], "/-/healthy") == hosts(site, foreign[:1], "/-/ready") == [200]


def test_a_page_of_another_site_changes_nothing(site: Site) -> None:
    own = f"http://127.0.0.1:{site.service_port}"
    host = f"Host: 127.0.0.1:{site.service_port}"
    for origin, status in (("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), (own, 200)):
        assert ask(site, "/-/reload", host, f"Origin: {origin}", "Content-Length: 0", method="POST")[0] == status
    assert ask(site, "/api/v1/clusters", host, "Origin: http://evil.example")[0] == 200


def test_answers_are_not_kept_by_what_is_between(site: Site) -> None:
    assert "Cache-Control: private, no-cache\r\n" in ask(site, "/api/v1/clusters")[1]
    assert "Cache-Control: no-store\r\n" in ask(site, "/api/v1/nothing")[1]
