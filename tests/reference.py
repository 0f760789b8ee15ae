"""The same families through prometheus_client: the reference of every printed value, and of speed."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from aggregator.families import ALL
from aggregator.families.spec import Family, View


class Expected:
    """Collect the families of views the slow way, through prometheus_client's own classes."""

    def __init__(self, views: Iterable[View]) -> None:
        self._views = tuple(views)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in ALL:
            metric = self._histogram(family) if family.histogram else self._numbers(family)
            if metric.samples:
                yield metric

    def _numbers(self, family: Family[Any]) -> Metric:
        kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.all_labels)
        for view in self._views:
            for entity in family.entity.of(view):
                base = family.entity.label_values(view, entity)
                if family.value:
                    value = family.value(entity)
                    if value is not None:
                        metric.add_metric(base, value)
                else:
                    for extra, value in family.extra_samples(entity):
                        metric.add_metric((*base, *map(_cut, family.labels, extra)), value)
        return metric

    def _histogram(self, family: Family[Any]) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help, labels=family.all_labels)
        assert family.histogram
        for view in self._views:
            for entity in family.entity.of(view):
                if histogram := family.histogram(entity):
                    buckets = [
                        ("+Inf" if edge == float("inf") else repr(edge), count) for edge, count in histogram.buckets
                    ]
                    metric.add_metric(family.entity.label_values(view, entity), buckets, histogram.total)
        return metric


def _cut(label: str, value: str) -> str:
    """Cut a job's name to the default of limits.job_name_bytes."""
    return value.encode()[:128].decode(errors="ignore") if label == "job_name" else value


def expected_registry(views: Iterable[View]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Expected(views))
    return registry
