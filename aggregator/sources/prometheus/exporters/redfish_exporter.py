"""Inputs from jenningsloy318/redfish_exporter: the power of a whole node, as its BMC measures it.

A BMC that does not fill the value says 0. Most list one PowerControl member (Dell, HPE, Cisco, OpenBMC), others the
parts of a node beside the whole (Lenovo: CPU and memory sub-systems; HPE Cray: accelerators). So parts are left out by
their names, for they are in the whole and would stand in for one that is missing; and so are enclosures, which hold
other nodes, too. The node is the largest of what is named as a whole; without such a name its members are taken to be
disjoint and added up. A site can name the members that are to be added. All tagged releases up to 0.11.0 spell the
labels power_votage and power_votage_id.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.inputs import ExporterSettings, Input

_METRIC = "redfish_chassis_power_average_consumed_watts"
_PART = "(?i)(.*[^a-z])?(sub-?systems?|cpu|processor|memory|dimm|gpu|accelerator|fan|drive)s?[0-9]*([^a-z].*)?"
_WHOLE = "(?i).*(server|system|chassis|node|total|input).*"
_SELECTORS: Mapping[str, Matcher] = {
    "parts": ("power_voltage", "=~", _PART),
    "old_parts": ("power_votage", "=~", _PART),
    "enclosures": ("chassis_id", "=~", "(?i).*(enclosure|rack).*"),
    "wholes": ("power_voltage", "=~", _WHOLE),
    "old_wholes": ("power_votage", "=~", _WHOLE),
}
_NOT_PARTS = "unless $parts_valid unless $old_parts_valid unless $enclosures_valid"
_NAMED = f"(($wholes_valid or $old_wholes_valid) {_NOT_PARTS})"
_DISJOINT = f"($series_valid {_NOT_PARTS})"
_CHOSEN = "($members_valid or $old_members_valid)"
_EACH = "max by ($node, chassis_id, power_voltage_id, power_votage_id)"


def _sums(members: str) -> Mapping[str, str]:
    """Write the mean of disjoint members over a window, at how many moments all were there, and what they are now."""
    return {
        "mean": f"sum by ($node) ({_EACH} (avg_over_time({members}[$moments])))",
        "moments": f"min by ($node) ({_EACH} (count_over_time({members}[$moments])))",
        "now": f"sum by ($node) ({_EACH} ({members}))",
    }


_LARGEST = {
    "mean": f"max by ($node) (avg_over_time({_NAMED}[$moments]))",
    "moments": f"max by ($node) (count_over_time({_NAMED}[$moments]))",
    "now": f"max by ($node) ({_NAMED})",
}


def _input(kind: str, added: Mapping[str, str], *, is_chosen: bool) -> Input:
    return Input(
        name="node_watts",
        metric=_METRIC,
        expression=added[kind] if is_chosen else f"{_LARGEST[kind]} or {added[kind]}",
        selectors={} if is_chosen else _SELECTORS,
        places=("members", "old_members") if is_chosen else (),
        low=1.0,
        high=1e5,
    )


def node_watts(settings: ExporterSettings, kind: str) -> Input:
    """Give the input of a node's power: its `mean` over a window, at how many `moments` it was there, and `now`."""
    is_chosen = "members" in settings.matchers
    return _input(kind, _sums(_CHOSEN if is_chosen else _DISJOINT), is_chosen=is_chosen)
