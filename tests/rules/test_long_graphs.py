"""Graphs over forty days of a real Prometheus: means over the whole step, no replica twice, nothing invented."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from aggregator.model.series import MAX_POINTS, Line, Lines, Span, Subject
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusSeries
from aggregator.sources.prometheus.catalogue import OWN
from aggregator.sources.prometheus.client import Endpoint
from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.rules.files import backfill

T = TypeVar("T")
DAY = 86_400
DAYS = 40
# Recorded sums alone in the first ten days; this service has been there since.
INSTALLED = 10
INTERVAL = 240
CLUSTER = 'cluster="narval"'
ALICE = f'{CLUSTER},user="alice",account="def-kim"'
REPLICAS = ("a", "b")


def begin() -> int:
    """Give the midnight (UTC) with which the history begins."""
    return (int(time.time()) // DAY - DAYS) * DAY


def history() -> Iterator[str]:
    """Write alice's six hours of 100 CPUs a day, of which the rules have seen half."""
    yield from samples("slurm_job:used_core:sum", [CLUSTER], 0, DAYS, lambda hour: 5000.0)
    yield from samples("slurm_job:allocated_core:count_user_account", [ALICE], 0, DAYS, lambda hour: 50.0, hours=6)
    ours = [f'job="hpc-aggregator",instance="{replica}:9850",' for replica in REPLICAS]
    root = [f'{each}{CLUSTER},account="root",parent=""' for each in ours]
    yield from samples("hpc_account_info", root, INSTALLED, DAYS, lambda hour: 1.0)
    of_alice, of_root = [each + ALICE for each in ours], [f'{each}{CLUSTER},account="root"' for each in ours]
    yield from samples("hpc_user_allocated_cpus", of_alice, INSTALLED, DAYS, lambda hour: 100.0, hours=6)
    yield from samples("hpc_account_used_cpus", of_root, INSTALLED, DAYS, lambda hour: 1.0)
    yield from samples("hpc_user_used_cpus", of_alice, INSTALLED, DAYS, lambda hour: 80.0, hours=3)
    yield from pcm_history()
    yield "# EOF\n"


def samples(
    name: str, series: list[str], first: int, last: int, value: Callable[[float], float], hours: float = 24
) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    for labels in series:
        for day in range(first, last):
            for offset in range(INTERVAL, int(hours * 3600) + 1, INTERVAL):
                at = begin() + day * DAY + offset
                yield f"{name}{{{labels}}} {value(at)!r} {at}"


def pcm_history() -> Iterator[str]:
    """Write an hour of the first day: two threads of a job and two of others, and what is often wrong with them.

    The two exporters are scraped at other moments, and the job's series appear in the middle and come twice.
    """
    place = 'socket="{0}",core="{1}",thread="0"'
    nodes = ('instance="n1:9738"', 'instance="n1.cluster.example:9738"')
    cores = [f"{node},{place.format(cpu % 2, cpu // 2)}" for node in nodes for cpu in range(4)]
    yield "# TYPE OS_ID gauge"
    for number, labels in enumerate(cores):
        yield from hour(f"OS_ID{{{CLUSTER},{labels}}}", lambda second, cpu=number % 4: cpu)
    for name, rate in (("L2_Cache_Hits", 3.0), ("L2_Cache_Misses", 1.0)):
        yield f"# TYPE {name} gauge"
        for labels in cores:
            # A counter that starts anew with the daemon.
            yield from hour(f'{name}{{{CLUSTER},{labels},source="core"}}', lambda s, r=rate: (s % 1800 + 1e6) * r)
        yield from hour(f'{name}{{{CLUSTER},{nodes[0]},socket="0",aggregate="socket",source="core"}}', lambda s: s * 9)
    yield "# TYPE slurm_job_core_usage gauge"
    for account in ("def-kim", "error"):
        for cpu in (1, 2):
            labels = f'{CLUSTER},instance="n1:9798",slurmjobid="7",account="{account}",core="{cpu}"'
            yield from hour(f"slurm_job_core_usage_total{{{labels}}}", lambda s: s, skew=7, first=1200)


def hour(series: str, value: Callable[[int], float], skew: int = 0, first: int = 0) -> Iterator[str]:
    for second in range(first, 3600, 30):
        yield f"{series} {value(second)!r} {begin() + second + skew}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("history")
    backfill(root, history())
    prometheus = PrometheusServer(root, retention="10y")
    prometheus.start()
    wait_until(lambda: bool(prometheus.query(f"OS_ID @ {begin() + 60}")), 30, "the history")
    yield prometheus.url
    prometheus.stop()


def read(url: str, kind: str, name: str, subject: Subject, span: Span, interval: float = INTERVAL) -> Lines:
    async def ask() -> Lines:
        client = PrometheusClient(Endpoint(key="prometheus", url=url))
        settings = dict.fromkeys((OWN, "pcm_sensor_server", "slurm_job_exporter"), ExporterSettings(interval=interval))
        try:
            return await PrometheusSeries(client, {"cluster": "narval"}, settings, NodeNames(), "narval").read(
                kind, name, subject, span
            )
        finally:
            await client.close()

    return run(ask())


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


USER = Subject(labels=(("user", "alice"),))


def test_a_day_shows_the_mean_of_the_day_not_the_sample_at_its_end(url: str) -> None:
    """At midnight alice holds nothing: a quarter of a day with 100 CPUs is 25 CPUs."""
    span = Span(float(begin() + DAY), float(begin() + DAYS * DAY), float(DAY))
    lines = read(url, "user", "allocated_cpus", USER, span)
    assert [line.labels for line in lines.lines] == [{"user": "alice", "account": "def-kim"}]
    values = [value for _, value in lines.lines[0].points]
    # The first day's count of samples is one short of a whole one.
    assert values[:INSTALLED] == pytest.approx([12.5] * INSTALLED, rel=0.01), "as the rules counted"
    assert values[INSTALLED:] == pytest.approx([25.0] * (DAYS - INSTALLED), rel=0.01), "two replicas are not 50"


def test_what_is_not_known_for_a_while_is_not_zero_then(url: str) -> None:
    """Of the six hours with jobs only three were seen, with 80 busy CPUs: a quarter of a day with 80 is 20."""
    span = Span(float(begin() + (INSTALLED + 1) * DAY), float(begin() + DAYS * DAY), float(DAY))
    (line,) = read(url, "user", "used_cpus", USER, span).lines
    assert [value for _, value in line.points] == pytest.approx([20.0] * (DAYS - INSTALLED), rel=0.01)


def test_more_points_than_prometheus_answers_come_in_pieces_that_fit_together(url: str) -> None:
    span = Span(float(begin() + INTERVAL), float(begin() + DAYS * DAY), float(INTERVAL))
    assert span.points > MAX_POINTS
    (line,) = read(url, "user", "allocated_cpus", USER, span).lines
    times = [time for time, _ in line.points]
    assert times == sorted(set(times))
    assert {value for _, value in line.points} == {50.0, 100.0}
    of_a_day = [value for time, value in line.points if begin() + 20 * DAY < time <= begin() + 21 * DAY]
    # Six hours, and as long after the last sample as Prometheus looks back.
    assert 6 * 3600 / INTERVAL <= len(of_a_day) <= 6 * 3600 / INTERVAL + math.ceil(300 / INTERVAL)


def test_the_threads_of_a_job_are_found_across_exporters_that_call_a_node_otherwise(url: str) -> None:
    """And from when the job's own series are there; a restart of the daemon is no rate."""
    span = Span(float(begin() + 300), float(begin() + 3600), 60.0)
    subject = Subject(jobs=(7,), nodes=("n1",))
    lines = read(url, "job", "l2_hit_ratio", subject, span, interval=30.0)
    assert sorted(label(line, "node", "cpu", "socket", "core") for line in lines.lines) == [
        ("n1", "1", "1", "0"), ("n1", "2", "0", "1"),
    ]  # fmt: skip
    assert not lines.rejected
    for line in lines.lines:
        assert {round(value, 9) for _, value in line.points} == {0.75}
        assert line.points[0][0] >= begin() + 1200


def test_a_job_of_another_node_has_no_threads_here(url: str) -> None:
    span = Span(float(begin() + 300), float(begin() + 3600), 60.0)
    for subject in (Subject(jobs=(7,), nodes=("n10",)), Subject(jobs=(8,), nodes=("n1",))):
        assert read(url, "job", "l2_hit_ratio", subject, span, interval=30.0).lines == ()


def label(line: Line, *names: str) -> tuple[str, ...]:
    return tuple(line.labels[name] for name in names)
