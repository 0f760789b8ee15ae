"""Inputs from jenningsloy318/redfish_exporter: the power of a whole node, as its BMC measures it.

A BMC that does not fill the value says 0. Most list one PowerControl member (Dell, HPE, Cisco, OpenBMC), others the
parts of a node beside the whole (Lenovo: CPU and memory sub-systems; HPE Cray: accelerators). So parts are left out by
their names, for they are in the whole and would stand in for one that is missing; and so are enclosures, which hold
other nodes, too. The node is the largest of what is named as a whole; without such a name its members are taken to be
disjoint and added up. A site can name the members that are to be added. All tagged releases up to 0.11.0 spell the
labels power_votage and power_votage_id.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.expression import Expression, Metric

_METRIC = "redfish_chassis_power_average_consumed_watts"
_PART = "(?i)(.*[^a-z])?(sub-?systems?|cpu|processor|memory|dimm|gpu|accelerator|fan|drive)s?[0-9]*([^a-z].*)?"
_WHOLE = "(?i).*(server|system|chassis|node|total|input).*"
_MEMBERS = {
    "members": Metric(_METRIC),
    "parts": Metric(_METRIC, (("power_voltage", "=~", _PART),)),
    "old_parts": Metric(_METRIC, (("power_votage", "=~", _PART),)),
    "enclosures": Metric(_METRIC, (("chassis_id", "=~", "(?i).*(enclosure|rack).*"),)),
    "wholes": Metric(_METRIC, (("power_voltage", "=~", _WHOLE),)),
    "old_wholes": Metric(_METRIC, (("power_votage", "=~", _WHOLE),)),
}
_CHOSEN_MEMBERS = {
    "members": Metric(_METRIC, place="members"),
    "old_members": Metric(_METRIC, place="old_members"),
}
_NOT_PARTS = "unless $parts_valid unless $old_parts_valid unless $enclosures_valid"
_NAMED = f"(($wholes_valid or $old_wholes_valid) {_NOT_PARTS})"
_DISJOINT = f"($members_valid {_NOT_PARTS})"
_CHOSEN = "($members_valid or $old_members_valid)"
_EACH = "max by ($node, $chassis_id, $power_voltage_id, $power_votage_id)"
_MEAN, _COUNT, _NOW = "avg_over_time({}[$moments])", "count_over_time({}[$moments])", "{}"


def _added(operator: str, over: str, members: str) -> str:
    """Write the sum (or the smallest) of disjoint members."""
    return f"{operator} by ($node) ({_EACH} ({over.format(members)}))"


def _input(metrics: Mapping[str, Metric], text: str, chosen: Expression | None = None) -> Expression:
    return Expression(name="node_watts", metrics=metrics, text=text, low=1.0, high=1e5, chosen=chosen)


def _node_watts(operator: str, over: str) -> Expression:
    """Declare the power of a node: of the members that the site has named, where it has."""
    largest = f"max by ($node) ({over.format(_NAMED)})"
    chosen = _input(_CHOSEN_MEMBERS, _added(operator, over, _CHOSEN))
    return _input(_MEMBERS, f"{largest} or {_added(operator, over, _DISJOINT)}", chosen)


# The mean over a window, at how many moments of it there was a value (of disjoint members: all of them), and now.
NODE_WATTS = _node_watts("sum", _MEAN)
NODE_MOMENTS = _node_watts("min", _COUNT)
NODE_WATTS_NOW = _node_watts("sum", _NOW)
INPUTS = (NODE_WATTS, NODE_MOMENTS, NODE_WATTS_NOW)
# What is not known without which series.
NEEDED = (needed("redfish_chassis_power_average_consumed_watts", "the power of nodes from BMCs"),)

EXPORTER = Exporter(inputs=INPUTS, needed=NEEDED)
