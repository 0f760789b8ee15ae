"""A tiny service around a Page, and what prometheus_client would print for the same families."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from aggregator.exposition import Page, Renderer
from aggregator.families import ALL
from aggregator.families.spec import Family, View
from aggregator.model.view import ClusterView

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Expected:
    """Collect the families of views the slow way, through prometheus_client's own classes."""

    def __init__(self, views: Iterable[View]) -> None:
        self._views = tuple(views)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in ALL:
            metric = self._histogram(family) if family.histogram else self._gauge(family)
            if metric.samples:
                yield metric

    def _gauge(self, family: Family[Any]) -> Metric:
        metric = GaugeMetricFamily(family.name, family.help, labels=family.all_labels)
        for view in self._views:
            for entity in family.entity.of(view):
                base = family.entity.label_values(view, entity)
                if family.value:
                    value = family.value(view, entity)
                    if value is not None:
                        metric.add_metric(base, value)
                else:
                    for extra, value in family.extra_samples(view, entity):
                        metric.add_metric((*base, *extra), value)
        return metric

    def _histogram(self, family: Family[Any]) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help, labels=family.all_labels)
        assert family.histogram
        for view in self._views:
            for entity in family.entity.of(view):
                if histogram := family.histogram(view, entity):
                    buckets = [
                        ("+Inf" if edge == float("inf") else repr(edge), count) for edge, count in histogram.buckets
                    ]
                    metric.add_metric(family.entity.label_values(view, entity), buckets, histogram.total)
        return metric


def expected_registry(views: Iterable[View]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Expected(views))
    return registry


def samples_of(families: Iterable[Metric]) -> dict[str, Any]:
    """Give each family's type, help and samples; an empty label is no label, values are floats."""
    found: dict[str, Any] = {}
    for family in families:
        assert family.name not in found, f"{family.name} is on the page twice"
        samples = {
            (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if v))): float(sample.value)
            for sample in family.samples
        }
        assert len(samples) == len(family.samples), f"{family.name} has a series twice"
        found[family.name] = (family.type, family.documentation, samples)
    return found


def make_page(views: Collection[View], registry: CollectorRegistry | None = None) -> Page:
    page = Page(registry or CollectorRegistry())
    for view in views:
        name = ("cluster", view.cluster) if isinstance(view, ClusterView) else ("filesystem", view.filesystem)
        page.publish(name, Renderer().render(view))
    return page


def make_app(page: Page, groups: frozenset[str] | None = None) -> web.Application:
    async def scrape(request: web.Request) -> web.StreamResponse:
        asked = request.query.getall("collect[]", [])
        return await page.respond(request, frozenset(asked) if asked else groups)

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    return app
