"""Declare a cloud: where its hypervisors' series are, and when an instance of it idles."""

from aggregator.config.connection import Prometheus
from aggregator.config.exporter import Exporter
from aggregator.config.nodes import Nodes
from aggregator.document.section import Section
from aggregator.document.types import Amount, Interval, Ratio, parse_duration
from aggregator.model.cloud import IdleRule


class Idle(Section):
    """Say for how long an instance must have used how little to be called idle."""

    duration: Interval = parse_duration("1d")
    cpu_ratio: Ratio = 0.05
    network_bytes_per_second: Amount = 1000.0

    def to_model(self) -> IdleRule:
        """Give the rule as the join knows it."""
        return IdleRule(
            duration=self.duration,
            cpu_ratio=self.cpu_ratio,
            network_bytes_per_second=self.network_bytes_per_second,
        )


class Cloud(Exporter):
    """Describe one cloud; interval is how often its libvirtd_exporters are scraped, and read here."""

    prometheus: Prometheus
    nodes: Nodes = Nodes()
    idle: Idle = Idle()
