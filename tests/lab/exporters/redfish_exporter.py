"""What a probe of a node's BMC gives."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from tests.lab.exporters.activity import Activity, node_watts


def redfish_exporter(jobs: Sequence[Activity]) -> Iterator[Metric]:
    """Yield what a probe of the node's BMC gives."""
    labels = ("chassis_id", "power_voltage", "power_voltage_id", "resource")
    power = GaugeMetricFamily("redfish_chassis_power_average_consumed_watts", "Average power", labels=labels)
    power.add_metric(("System.Embedded.1", "System Power Control", "0", "power_wattage"), node_watts(jobs))
    yield power
    yield GaugeMetricFamily("redfish_up", "BMC reachable", value=1)
