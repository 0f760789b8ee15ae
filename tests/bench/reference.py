"""The same families through prometheus_client: the reference of speed and of every printed value."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from aggregator.families import ALL
from aggregator.families.spec import Family, Histogram, View


class ViewCollector:
    """Collect every family of one view the way prometheus_client's documentation teaches."""

    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterable[Metric]:
        """Make one metric family per family that has samples."""
        for family in ALL:
            metric = self._histogram(family) if family.histogram else self._gauge(family)
            if metric.samples:
                yield metric

    def _gauge(self, family: Family[Any]) -> Metric:
        metric = GaugeMetricFamily(family.name, family.help, labels=family.all_labels)
        for item in family.entity.of(self._view):
            base = family.entity.label_values(self._view, item)
            if family.value is not None and (value := family.value(self._view, item)) is not None:
                metric.add_metric(base, value)
            for extra, known in family.extra_samples(self._view, item):
                metric.add_metric((*base, *extra), known)
        return metric

    def _histogram(self, family: Family[Any]) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help, labels=family.all_labels)
        assert family.histogram is not None
        for item in family.entity.of(self._view):
            if histogram := family.histogram(self._view, item):
                base = family.entity.label_values(self._view, item)
                metric.add_metric(base, _buckets(histogram), histogram.total)
        return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if edge == float("inf") else str(edge), count) for edge, count in histogram.buckets]
