"""How one exporter is scraped at a site, and what the site calls its metrics and labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.sources.prometheus.promql import Matcher

# A rate needs two samples; with four intervals two scrapes may fail.
RATE_INTERVALS = 4
MIN_RATE_WINDOW = 15.0
# Rules that are evaluated as often as is scraped may fail once.
RECORDED_INTERVALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettings:
    """How one exporter is scraped at this site: interval in seconds, renamed metrics and labels.

    matchers pick, by the name of what is picked, series of which the site says where they are (a mount point).
    """

    interval: float = 30.0
    metrics: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    matchers: Mapping[str, Matcher] = field(default_factory=dict)

    def metric(self, name: str) -> str:
        """Give the name under which the site stores a metric of the exporter."""
        return self.metrics.get(name, name)

    def label(self, name: str) -> str:
        """Give the name under which the site stores a label of the exporter."""
        return self.labels.get(name, name)

    def matcher(self, matcher: Matcher) -> Matcher:
        """Write an exporter's own matcher as the site stores its label."""
        label, operator, value = matcher
        return self.label(label), operator, value

    @property
    def rate_window(self) -> float:
        """Give the window in seconds over which counters are turned into rates."""
        return max(MIN_RATE_WINDOW, RATE_INTERVALS * self.interval)

    @property
    def recorded_age(self) -> float:
        """Give the age in seconds at which a recorded sample is no longer the present."""
        return RECORDED_INTERVALS * self.interval
