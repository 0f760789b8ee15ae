"""How instances and projects of a cloud look in JSON: read from one source, so plain values."""

from collections.abc import Mapping
from typing import Any

from aggregator.api.representation import Json, times
from aggregator.engine.view import View
from aggregator.model.cloud import RATES

_Row = Mapping[str, Any]


def cloud_json(view: View, *, staff: bool) -> Json:
    """Show one cloud: how fresh it is, by which rule instances idle; to the staff its hypervisors and totals."""
    # Of a cloud that was not joined yet nothing is known.
    totals = next(view["cloud"].iter_rows(named=True), dict.fromkeys(view["cloud"].columns))
    rule = {
        "duration": totals["rule_duration_seconds"],
        "cpu_ratio": totals["rule_cpu_ratio"],
        "network_bytes_per_second": totals["rule_network_bytes_per_second"],
    }
    shown = _of_staff(view, totals) if staff else {}
    return {"cloud": view.name, **times("as_of", view.time), "idle_rule": rule, **shown}


def _of_staff(view: View, totals: _Row) -> Json:
    hypervisors = view["hypervisors"]
    return {
        "hypervisors": hypervisors.height,
        "hypervisors_down": sorted(hypervisors.filter(~hypervisors["up"])["hypervisor"]),
        "totals": project_json(view.name, {"project": "", **totals}),
    }


def project_json(cloud: str, sums: _Row) -> Json:
    """Show what the running instances of a project add up to."""
    return {
        "cloud": cloud,
        "project": sums["project"] or None,
        "instances": sums["instances"],
        **{name: sums[name] for name in RATES},
        "memory_used_coverage": sums["memory_coverage_ratio"],
        "idle": {
            "instances": sums["idle_instances"],
            "judged": sums["judged"],
            "vcpus": sums["idle_vcpus"],
            "memory_bytes": sums["idle_memory_bytes"],
        },
    }


def instance_json(cloud: str, instance: _Row, *, staff: bool) -> Json:
    """Show one running instance, to the staff with its hypervisor."""
    return {
        "cloud": cloud,
        "project": instance["project"] or None,
        "uuid": instance["uuid"],
        "instance_name": instance["instance_name"],
        "user": instance["user"] or None,
        "flavor": instance["flavor"] or None,
        **({"hypervisor": instance["hypervisor"] or None} if staff else {}),
        **{name: instance[name] for name in RATES},
        "idle": {
            "idle": instance["idle"],
            "because": instance["idle_because"],
            "cpu_ratio": instance["cpu_ratio"],
            "network_bytes_per_second": instance["network_bytes_per_second"],
            "coverage": instance["coverage_ratio"],
        },
    }
