"""The service's own families: as prometheus_client writes them, and not again when nothing has changed."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from scrape import make_page

from aggregator.exposition import OwnFamilies, ServiceMetrics, Vitals, vitals_families
from aggregator.exposition.own import write
from aggregator.model.view import ClusterView, Snapshot
from tests.builders import NOW, make_status

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SAMPLES = st.lists(st.tuples(st.tuples(TEXTS, TEXTS), st.floats()), max_size=5)


class Given:
    """A collector of these families."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def assert_written_alike(collector: Any) -> None:
    assert write(collector.collect(), openmetrics=False) == generate_latest(collector)
    assert write(collector.collect(), openmetrics=True) + b"# EOF\n" == generate_openmetrics(collector)


@given(samples=SAMPLES, help=TEXTS)
def test_gauges_and_counters_are_written_as_prometheus_client_does(
    samples: list[tuple[tuple[str, str], float]], help: str
) -> None:
    gauge = GaugeMetricFamily("moons", help.replace('"', "'"), labels=("of", "by"))
    counter = CounterMetricFamily("rings", "Rings.", labels=("of", "by"))
    for labels, value in samples:
        gauge.add_metric(labels, value)
        counter.add_metric(labels, value)
    assert_written_alike(Given(gauge, counter, GaugeMetricFamily("suns", "Suns.", 1)))


def test_histograms_and_the_process_are_written_as_prometheus_client_does() -> None:
    disable_created_metrics()
    registry = CollectorRegistry()
    duration = Histogram("duration_seconds", "Time.", ("route",), registry=registry)
    for seconds in (0.001, 0.2, 1e7, 1e-7):
        duration.labels('/a"\\\n').observe(seconds)
    assert_written_alike(registry)
    assert_written_alike(Given(*ProcessCollector(registry=None).collect()))


def counted(seen: list[object]) -> tuple[OwnFamilies[object], list[object]]:
    """Families that show the last of `seen`, and what they were made of each time."""
    made: list[object] = []

    def collect(state: object) -> Iterable[Metric]:
        made.append(state)
        return [GaugeMetricFamily("hpc_aggregator_moons", "Moons.", 1)]

    return OwnFamilies(lambda: seen[-1], collect), made


def test_what_has_not_changed_is_written_once_in_each_format() -> None:
    families, made = counted([("a",)])
    text = families.member(openmetrics=False)
    assert families.member(openmetrics=False) is text
    families.member(openmetrics=True)
    families.member(openmetrics=True)
    assert made == [("a",), ("a",)]


def test_what_has_changed_is_written_again_and_what_went_back_too() -> None:
    seen: list[object] = [1]
    families, made = counted(seen)
    for state in (1, 2, 1):
        seen.append(state)
        families.member(openmetrics=False)
    assert made == [1, 2, 1]


def test_a_failure_to_write_is_not_kept() -> None:
    broken = [True]

    def collect(_: object) -> Iterable[Metric]:
        if broken.pop():
            raise RuntimeError("a bug")
        return []

    families = OwnFamilies(lambda: 1, collect)
    with pytest.raises(RuntimeError, match="a bug"):
        families.member(openmetrics=False)
    broken.append(False)
    families.member(openmetrics=False)


class Told:
    """Metrics over a snapshot that can be replaced, and how often they were written."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.metrics = ServiceMetrics(lambda: self.snapshot, dict, now=NOW)
        self.families = self.metrics.families()

    def text(self) -> bytes:
        return self.families.member(openmetrics=False)


def test_each_change_of_the_service_is_shown_at_the_next_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    status = make_status()
    changes = [
        lambda: told.metrics.observe_fetch("slurmacct", "narval", 0.1),
        lambda: told.metrics.observe_stage("narval", "", "join", 0.1),
        lambda: told.metrics.count_failure("narval", ""),
        lambda: setattr(told.metrics, "reload_succeeded", False),
        lambda: setattr(told.metrics, "reload_time", NOW + 1),
        lambda: setattr(told.metrics, "restart_needed", ["state.url"]),
        lambda: setattr(told.metrics, "series", lambda: {"hpc_job_info": 3}),
        lambda: setattr(told, "snapshot", Snapshot(sources={("slurmacct", "narval"): status})),
        lambda: setattr(told, "snapshot", Snapshot(clusters={"narval": ClusterView("narval", NOW)})),
    ]
    for change in changes:
        before = told.text()
        assert told.text() is before
        change()
        assert told.text() != before


async def test_requests_are_counted_at_once(scrape: Any) -> None:
    metrics = ServiceMetrics(Snapshot)
    page = make_page([], metrics.families(), vitals_families(Vitals, metrics.registry))
    for count in (1, 2):
        metrics.count_refused("rate")
        body, _ = await scrape(page)
        assert f'hpc_aggregator_http_refused_total{{reason="rate"}} {count}.0' in body
