"""The same families through prometheus_client: the reference of every printed value, and of speed."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.engine.column import Sample, Table
from aggregator.engine.view import View
from aggregator.model.view import ClusterView


class Expected:
    """Collect the families of views the slow way, through prometheus_client's own classes."""

    def __init__(self, views: Iterable[View | ClusterView]) -> None:
        self._views = [
            View(view.cluster, view.time, view.frames) if isinstance(view, ClusterView) else view for view in views
        ]

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        return _of_tables(self._views)


def _of_tables(views: Iterable[View]) -> Iterator[Metric]:
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


def expected_registry(views: Iterable[View | ClusterView]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Expected(views))
    return registry
