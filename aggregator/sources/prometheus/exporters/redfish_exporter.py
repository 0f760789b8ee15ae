"""Inputs from jenningsloy318/redfish_exporter: the power of a whole node, as its BMC measures it.

A BMC that does not fill the value says 0. Many list one PowerControl member (Dell, HPE, Cisco, OpenBMC), others the
parts of a node beside the whole (Lenovo: CPU and memory sub-systems; HPE Cray: accelerators), or the same whole under
several chassis. So the node is its largest member, parts left out by their names, for they would stand in for a whole
that is missing; and so are enclosures, which hold other nodes, too. A site whose members are disjoint names those that
are to be added. All tagged releases up to 0.11.0 spell the labels power_votage and power_votage_id.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.inputs import ExporterSettings, Input

_METRIC = "redfish_chassis_power_average_consumed_watts"
_PART = "(?i)(.*[^a-z])?(sub-?systems?|cpu|processor|memory|dimm|gpu|accelerator|fan|drive)s?[0-9]*([^a-z].*)?"
_NOT_WHOLE: Mapping[str, Matcher] = {
    "parts": ("power_voltage", "=~", _PART),
    "misspelled": ("power_votage", "=~", _PART),
    "enclosures": ("chassis_id", "=~", "(?i).*(enclosure|rack).*"),
}
_WHOLE = "($series_valid unless $parts_valid unless $misspelled_valid unless $enclosures_valid)"
_ADDED = "($members_valid or $misspelled_members_valid)"
_EACH = "max by ($node, chassis_id, power_voltage_id, power_votage_id)"


def _largest(name: str, expression: str) -> Input:
    return Input(name=name, metric=_METRIC, expression=expression, selectors=_NOT_WHOLE, low=1.0, high=1e5)


def _added(name: str, expression: str) -> Input:
    places = ("members", "misspelled_members")
    return Input(name=name, metric=_METRIC, expression=expression, places=places, low=1.0, high=1e5)


_LARGEST = {
    "mean": _largest("node_watts", f"max by ($node) (avg_over_time({_WHOLE}[$moments]))"),
    "moments": _largest("node_watts", f"max by ($node) (count_over_time({_WHOLE}[$moments]))"),
    "now": _largest("node_watts", f"max by ($node) ({_WHOLE})"),
}
_SUMS = {
    "mean": _added("node_watts", f"sum by ($node) ({_EACH} (avg_over_time({_ADDED}[$moments])))"),
    "moments": _added("node_watts", f"min by ($node) ({_EACH} (count_over_time({_ADDED}[$moments])))"),
    "now": _added("node_watts", f"sum by ($node) ({_EACH} ({_ADDED}))"),
}


def node_watts(settings: ExporterSettings, kind: str) -> Input:
    """Give the input of a node's power: its `mean` over a window, at how many `moments` it was there, and `now`."""
    return (_SUMS if "members" in settings.matchers else _LARGEST)[kind]
