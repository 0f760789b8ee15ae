"""The site's Prometheus: what the exporters saw of the jobs' use."""

from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.cloud import PrometheusCloud
from aggregator.sources.prometheus.gauges import PrometheusGauges
from aggregator.sources.prometheus.hosts import PrometheusHosts
from aggregator.sources.prometheus.levels import PrometheusLevels
from aggregator.sources.prometheus.lustre import PrometheusLustre
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.power import PrometheusPower
from aggregator.sources.prometheus.presence import Presence
from aggregator.sources.prometheus.quotas import PrometheusQuotas, QuotaHistory, QuotaSeries
from aggregator.sources.prometheus.scheduler import PrometheusScheduler
from aggregator.sources.prometheus.series import PrometheusSeries
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.source import PrometheusUse

__all__ = [
    "ExporterSettings",
    "NodeNames",
    "Presence",
    "PrometheusClient",
    "PrometheusCloud",
    "PrometheusGauges",
    "PrometheusHosts",
    "PrometheusLevels",
    "PrometheusLustre",
    "PrometheusPower",
    "PrometheusQuotas",
    "PrometheusScheduler",
    "PrometheusSeries",
    "PrometheusUse",
    "QuotaHistory",
    "QuotaSeries",
]
