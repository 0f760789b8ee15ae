"""docs/metrics.md, written from the tables of families and the service's registry."""

from collections.abc import Iterator

from prometheus_client import Metric

from aggregator.app.layouts import FAMILIES
from aggregator.exposition import ServiceMetrics, VitalsCollector
from aggregator.model.view import Snapshot, SourceStatus

_HEAD = """# Metrics

This page is generated from the code (`pytest tests/contract --update-golden` writes it anew; a test compares them).

Conventions: base units; ratios from 0 to 1; a value that is not known has **no sample**, never 0 and never NaN. A label
with an empty value is not printed, which Prometheus treats alike. STABLE families keep their name and labels within a
major version. *Series* says how many there are.
`?collect[]=jobs|users|accounts|nodes|storage|cloud|service` limits an answer to groups.

In the service's own families the label `cluster` of the sources `cloud` is the cloud's name.

`hpc_job_*` series belong to one run per job id: the one that is open, else the one submitted last, for
`refresh.ended_job_retention` after its end. A run younger than one scrape interval of its exporter has no use yet.
"""
_TITLES = {
    "jobs": "Jobs", "users": "Users (their open runs under one account)", "accounts": "Accounts",
    "nodes": "Nodes and the cluster", "storage": "Storage", "cloud": "Clouds",
}  # fmt: skip


def metrics_page() -> str:
    """Write the whole page."""
    return "\n".join((_HEAD, *_families(), *_service())).rstrip() + "\n"


def _families() -> Iterator[str]:
    for group, title in _TITLES.items():
        yield f"## {title}\n"
        yield "| family | type | labels | meaning | series | source | stability |\n|---|---|---|---|---|---|---|"
        for family in FAMILIES:
            if family.collect == group:
                labels = ", ".join(family.labels)
                yield (
                    f"| `{family.name}` | {family.type} | {labels} | {family.help} | {family.cost} "
                    f"| {family.source} | {family.stability} |"
                )
        yield ""


def _service() -> Iterator[str]:
    yield "## The service itself\n"
    yield "| family | type | meaning |\n|---|---|---|"
    for metric in sorted(service_families(), key=lambda metric: metric.name):
        suffix = "_total" if metric.type == "counter" else ""
        yield f"| `{metric.name}{suffix}` | {metric.type} | {metric.documentation} |"


def service_families() -> list[Metric]:
    """Collect the service's own families over a snapshot that has one source."""
    snapshot = Snapshot(sources={("prometheus", "c"): SourceStatus("prometheus", "c", up=True)})
    registry = ServiceMetrics(lambda: snapshot, dict).registry
    VitalsCollector().register(registry)
    return list(registry.collect())
