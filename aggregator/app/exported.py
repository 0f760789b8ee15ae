"""What a site has in Prometheus beside its clusters: clouds, and the quotas of file systems."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from aggregator.app.stored import settings_of
from aggregator.config import Cloud, Cluster, Nodes, Quota, SlowExporter
from aggregator.model.cloud import IdleRule
from aggregator.model.instances import CloudUse
from aggregator.model.storage import QuotaCounts
from aggregator.queries.series import SeriesReader
from aggregator.sources.base import Source
from aggregator.sources.prometheus import (
    NodeNames,
    Presence,
    PrometheusClient,
    PrometheusCloud,
    PrometheusQuotas,
    PrometheusSeries,
    QuotaHistory,
    QuotaSeries,
)

_EXPORTERS: Final[Mapping[str, Literal["lfs_quota_exporter", "gpfs_exporter"]]] = {
    "lfs_quota": "lfs_quota_exporter",
    "gpfs": "gpfs_exporter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSources:
    """The source of one cloud, read every `interval` seconds, and of its graphs."""

    use: Source[CloudUse]
    interval: float
    rule: IdleRule
    series: SeriesReader
    presence: Presence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSources:
    """The source of one file system's quotas, and of their graphs; has_limits: the limits come with them."""

    counts: Source[QuotaCounts]
    has_limits: bool
    series: SeriesReader


def open_cloud(section: Cloud, client: PrometheusClient, patience: float) -> CloudSources:
    """Make the source of a cloud; an input that fails is as it last was for `patience` seconds."""
    settings, nodes, matchers = settings_of(section), _nodes(section.nodes), section.prometheus.matchers
    rule = section.idle.to_model()
    return CloudSources(
        use=PrometheusCloud(client, matchers, settings, nodes, rule, patience=patience),
        interval=section.interval,
        rule=rule,
        series=PrometheusSeries(client, matchers, {"libvirtd_exporter": settings}, nodes),
        presence=Presence(client, matchers, {"libvirtd_exporter": section.metrics}, nodes),
    )


def open_quotas(
    filesystem: str, quota: Quota, cluster: Cluster, client: PrometheusClient, patience: float
) -> QuotaSources:
    """Make the source of a file system's quotas, whose series are with those of a cluster; patience as of a cloud."""
    exporter = _EXPORTERS[quota.source]
    settings = settings_of(getattr(cluster.exporters, exporter) or SlowExporter())
    if quota.source == "lfs_quota":
        # The owner's label is the file system's own.
        settings = replace(settings, labels={**settings.labels, quota.of: quota.label})
    series = QuotaSeries(exporter=exporter, owner=quota.of, labels=_labels(filesystem, quota))
    nodes, matchers = _nodes(cluster.nodes), cluster.prometheus.matchers
    reader = PrometheusSeries(client, matchers, {exporter: settings}, nodes)
    return QuotaSources(
        counts=PrometheusQuotas(client, matchers, settings, nodes, series, patience=patience),
        has_limits=quota.source == "gpfs",
        series=QuotaHistory(reader, series),
    )


def _labels(filesystem: str, quota: Quota) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if quota.source == "lfs_quota":
        return (("path", (quota.path or "",)),)
    filesets = (("fileset", quota.filesets),) if quota.filesets else ()
    return (("fs", (quota.filesystem or filesystem,)), *filesets)


def _nodes(section: Nodes) -> NodeNames:
    return NodeNames(**section.names())
