"""The same families through prometheus_client: the reference of every printed value, and of speed."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.engine.column import Sample, Table
from aggregator.engine.view import View as Frames
from aggregator.families import ALL
from aggregator.families.spec import Family, View
from aggregator.model.view import ClusterView


class Expected:
    """Collect the families of views the slow way, through prometheus_client's own classes."""

    def __init__(self, views: Iterable[View | Frames]) -> None:
        self._views = tuple(views)
        self._old = [view for view in self._views if not isinstance(view, Frames)]

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in ALL:
            metric = self._histogram(family) if family.histogram else self._numbers(family)
            if metric.samples:
                yield metric
        clusters = [Frames(view.cluster, view.time, view.frames) for view in self._old if isinstance(view, ClusterView)]
        yield from _of_tables([*clusters, *(view for view in self._views if isinstance(view, Frames))])

    def _numbers(self, family: Family[Any]) -> Metric:
        kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.all_labels)
        for view in self._old:
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
        for view in self._old:
            for entity in family.entity.of(view):
                if histogram := family.histogram(entity):
                    buckets = [
                        ("+Inf" if edge == float("inf") else repr(edge), count) for edge, count in histogram.buckets
                    ]
                    metric.add_metric(family.entity.label_values(view, entity), buckets, histogram.total)
        return metric


def _of_tables(views: Iterable[Frames]) -> Iterator[Metric]:
    """Collect the families of frames, row by row."""
    metrics: dict[str, Any] = {}
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    for layout, table in ((each, table) for each in (CLUSTERS, FILESYSTEMS, CLOUDS) for table in each.tables.values()):
        for family in table.listings(layout.kind):
            metrics[family.name] = kinds[family.type](family.name, family.help, labels=family.labels)
        for view in (view for view in views if view.frames.keys() == layout.tables.keys()):
            for row in view[table.name].iter_rows(named=True):
                for column in table.columns:
                    if column.sample and _is_shown(table, column.sample, row) and row[column.name] is not None:
                        base = (view.name, *(_text(row[name]) for name in table.labels.values()))
                        _add(metrics[column.sample.family.name], base, column.sample, row, column.name)
    yield from (metric for metric in metrics.values() if metric.samples)


def _add(metric: Any, base: tuple[str, ...], sample: Sample, row: dict[str, Any], name: str) -> None:
    if sample.total:
        edges = (*map(repr, sample.family.edges), "+Inf")
        metric.add_metric(base, list(zip(edges, row[name], strict=True)), row[sample.total])
        return
    own = {label: _text(row[column]) for label, column in sample.label_columns.items()} | dict(sample.labels)
    metric.add_metric((*base, *(own[label] for label in sample.family.labels)), 1.0 if sample.constant else row[name])


def _is_shown(table: Table, sample: Sample, row: dict[str, Any]) -> bool:
    return all(row[name] for name in (table.where, sample.where) if name)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _cut(label: str, value: str) -> str:
    """Cut a job's name to the default of limits.job_name_bytes."""
    return value.encode()[:128].decode(errors="ignore") if label == "job_name" else value


def expected_registry(views: Iterable[View | Frames]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Expected(views))
    return registry
