"""Every query of the shipped boards on a real Prometheus, which scrapes the demo through two replicas."""

import re
import time
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler

import pytest

from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.lab.webserver import WebServer
from tests.rules.boards import Query, choices, filled, queries
from tests.rules.files import OWN, backfill
from tests.scenarios.demo import Demo

ANY = dict.fromkeys(("cluster", "account", "user", "node", "filesystem", "group", "instance"), ".*")
GROWING = 'filesystem="project",group="def-growing",resource="bytes",source="allocations"'
# Labels that every series has from its scrape.
TARGET = {"instance", "job"}
# Whom the boards of one thing are looked at for; not all have all.
OWNERS = (
    "hpc_job_gpus_busy > 0 and on (cluster, slurmjobid) hpc:job_waste",
    "hpc_job_lustre_read_bytes_per_second and on (cluster, slurmjobid) hpc:job_waste",
    "hpc_job_used_cpus and on (cluster, account) hpc_account_limit and on (cluster, slurmjobid) hpc:job_waste",
)


class Replica(WebServer):
    """Shows the page of the demo as a second replica does."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        super().__init__(Page)


class Page(BaseHTTPRequestHandler):
    owner: Replica

    def do_GET(self) -> None:
        _, body = self.owner.demo.service.get("/metrics")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    started = Demo(tmp_path_factory.mktemp("demo"), "--jobs=100")
    started.start()
    yield started
    started.service.stop()


def growing() -> Iterator[str]:
    """Write ten minutes in which a quota fills up by a hundredth."""
    yield "# TYPE hpc:storage_quota_used_ratio gauge"
    begin = int(time.time()) - 600
    for second in range(0, 600, 30):
        yield f"hpc:storage_quota_used_ratio{{{GROWING}}} {0.5 + second / 60_000} {begin + second}"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def prometheus(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    root = tmp_path_factory.mktemp("boards")
    backfill(root, growing())
    replica = Replica(demo)
    replica.start()
    first = int(demo.service.url.rpartition(":")[2])
    server = PrometheusServer(root, service_port=first, more_service_ports=[replica.port], rule_files=[OWN])
    server.start()
    # Rates need two scrapes; sums over the time shown look at whole seconds, after what is recorded last.
    wait_until(lambda: _scrapes(server) >= 2, 60, "two scrapes of both replicas")
    recorded = "max(count_over_time(hpc:user_waste_jobs:by_reason[5m])) >= 3"
    wait_until(lambda: bool(server.query(recorded)), 60, "the recorded series")
    # The ledger's windows are of a minute.
    grown = " and ".join(f"min(increase(hpc_cluster_wasted_{of}_seconds_total[5m])) > 0" for of in ("cpu", "gpu"))
    wait_until(lambda: bool(server.query(grown)), 150, "a window that closes between two scrapes")
    yield server
    server.stop()
    replica.stop()


def _scrapes(server: PrometheusServer) -> float:
    """Count the scrapes of the replica that has fewer, 0 before both were scraped."""
    counted = server.query("count_over_time(hpc_aggregator_build_info[5m])")
    return min(float(one["value"][1]) for one in counted) if len(counted) == 2 else 0


@pytest.fixture(scope="module")
def chosen(prometheus: PrometheusServer) -> list[dict[str, str]]:
    """Give values of the variables, for some jobs and their owners."""
    found = [result[0]["metric"] for query in OWNERS if (result := prometheus.query(query))]
    assert len(found) == len(OWNERS)
    return [
        ANY | {"job": one["slurmjobid"]} | {name: one[name] for name in ("cluster", "account", "user")} for one in found
    ]


@pytest.mark.parametrize("query", [*queries()], ids=str)
def test_a_query_has_data(prometheus: PrometheusServer, chosen: list[dict[str, str]], query: Query) -> None:
    results = [prometheus.query(query.filled(values)) for values in chosen]
    assert any(results)
    shown = {label for result in results for one in result for label in one["metric"]}
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= shown
    if query.kind == "stat" and not query.legend:
        assert all(len(result) <= 1 for result in results), "one number"


@pytest.mark.parametrize("query", [*queries()], ids=str)
def test_a_query_names_labels_that_its_metrics_have(prometheus: PrometheusServer, query: Query) -> None:
    expr = query.filled(dict.fromkeys((*ANY, "job"), "x"))
    for metric, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", expr):
        assert set(re.findall(r"(\w+)[=!]", matchers)) - TARGET <= labels(prometheus, metric), metric
    grouped = re.findall(r"\b(?:by|on|ignoring|group_left)\s*\(([^)]*)\)", expr)
    metrics = re.findall(r"\bhpc[_:][\w:]+|\bprocess_\w+", expr)
    there = set[str]().union(*(labels(prometheus, metric) for metric in metrics))
    assert {name.strip() for names in grouped for name in names.split(",")} <= there


@cache
def labels(prometheus: PrometheusServer, metric: str) -> set[str]:
    return {label for one in prometheus.query(metric) for label in one["metric"]}


@pytest.mark.parametrize("choice", [*choices()], ids=" ".join)
def test_a_variable_has_values(
    prometheus: PrometheusServer, chosen: list[dict[str, str]], choice: tuple[str, str, str]
) -> None:
    _, series, label = choice
    found = {one["metric"].get(label) for one in prometheus.query(filled(series, chosen[0]))}
    assert found - {None}


def test_replicas_count_once(prometheus: PrometheusServer) -> None:
    """What runs changes a little between a scrape and its record."""
    (query,) = [each for each in queries() if (each.board, each.panel) == ("site", "Running jobs")]
    shown = prometheus.value(query.filled(ANY))
    assert shown
    assert prometheus.value('sum(hpc_account_jobs{state="running"})') == pytest.approx(2 * shown, rel=0.2)
