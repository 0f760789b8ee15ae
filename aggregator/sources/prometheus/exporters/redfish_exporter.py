"""Inputs from jenningsloy318/redfish_exporter: the power of a whole node, as its BMC measures it.

A BMC that does not fill the value says 0. Several chassis or PowerControl members of one BMC are added up, as they are
where they are disjoint; the label power_votage_id is how releases up to 0.11.0 spell it.
"""

from aggregator.sources.prometheus.inputs import Input

_METRIC = "redfish_chassis_power_average_consumed_watts"
_EACH = "max by ($node, chassis_id, power_voltage_id, power_votage_id)"

NODE_WATTS = Input(
    name="node_watts",
    metric=_METRIC,
    expression=f"sum by ($node) ({_EACH} (avg_over_time($series[$hold])))",
    low=1.0,
    high=1e5,
)
# What the node draws at rest: low enough to be rest, high enough not to be a gap in the measurement.
STATIC_WATTS = Input(
    name="node_watts",
    metric=_METRIC,
    expression=f"sum by ($node) ({_EACH} (quantile_over_time(0.05, $series[1d])))",
    low=1.0,
    high=1e5,
)
