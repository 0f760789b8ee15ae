"""A tiny service around a Page."""

from collections.abc import Collection, Iterable
from typing import Any

from aiohttp import web
from prometheus_client.core import Metric

from aggregator.app.layouts import CLOUDS, CLUSTERS, FAMILIES, FILESYSTEMS
from aggregator.engine.view import View as Frames
from aggregator.exposition import OwnFamilies, Page
from aggregator.model.view import ClusterView as View

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


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


def make_page(views: Collection[View | Frames], *own: OwnFamilies[Any]) -> Page:
    page = Page(own, FAMILIES)
    for view in views:
        if isinstance(view, Frames):
            layout = FILESYSTEMS if "filesystem" in view.frames else CLOUDS
            page.publish((layout.kind, view.name), layout.render(view.name, view.frames))
        else:
            page.publish(("cluster", view.cluster), CLUSTERS.render(view.cluster, view.frames))
    return page


def make_app(page: Page, groups: frozenset[str] | None = None) -> web.Application:
    async def scrape(request: web.Request) -> web.StreamResponse:
        asked = request.query.getall("collect[]", [])
        return await page.respond(request, frozenset(asked) if asked else groups)

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    return app
