"""Under which names a site stores the metrics that values are from."""

from collections.abc import Mapping

from aggregator.config import Exporter
from aggregator.sources.prometheus import ExporterSettings
from aggregator.sources.prometheus.catalogue import INPUTS


def settings_of(exporter: Exporter) -> ExporterSettings:
    """Give how an exporter is scraped and stored."""
    return ExporterSettings(
        interval=exporter.interval, metrics=exporter.metrics, labels=exporter.labels, matchers=exporter.matchers
    )


def renamed(exporter: str, metrics: Mapping[str, str]) -> Mapping[str, str]:
    """Give the site's names of an exporter's metrics, also of those that are named by what is read of them.

    Of two inputs of one metric that have names of their own the first counts.
    """
    settings = ExporterSettings(metrics=metrics)
    found: dict[str, str] = {}
    for item in INPUTS.get(exporter, ()):
        stored = item.stored(item.main, settings)
        if stored != item.main.name:
            found.setdefault(item.main.name, stored)
    return {**metrics, **found}
