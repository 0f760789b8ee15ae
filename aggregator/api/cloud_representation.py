"""How instances and projects of a cloud look in JSON: read from one source, so plain values."""

from dataclasses import asdict

from aggregator.api.representation import Json, times
from aggregator.join.cloud import add_up_project
from aggregator.model.cloud import CloudView, Instance, ProjectSums


def cloud_json(view: CloudView, *, staff: bool) -> Json:
    """Show one cloud: how fresh it is, by which rule instances idle; to the staff its hypervisors and totals."""
    down = sorted(name for name, up in view.hypervisors.items() if not up)
    shown = {"hypervisors": len(view.hypervisors), "hypervisors_down": down} if staff else {}
    totals = {"totals": project_json(view.cloud, add_up_project("", view.instances))} if staff else {}
    return {"cloud": view.cloud, **times("as_of", view.time), "idle_rule": asdict(view.rule), **shown, **totals}


def project_json(cloud: str, sums: ProjectSums) -> Json:
    """Show what the running instances of a project add up to."""
    return {
        "cloud": cloud,
        "project": sums.project or None,
        "instances": sums.instances,
        **asdict(sums.rates),
        "memory_used_coverage": sums.memory_coverage,
        "idle": {
            "instances": sums.idle if sums.judged else None,
            "judged": sums.judged,
            "vcpus": sums.idle_vcpus,
            "memory_bytes": sums.idle_memory_bytes,
        },
    }


def instance_json(cloud: str, instance: Instance, *, staff: bool) -> Json:
    """Show one running instance, to the staff with its hypervisor."""
    idleness = instance.idleness
    return {
        "cloud": cloud,
        "project": instance.project or None,
        "uuid": instance.uuid,
        "instance_name": instance.name,
        "user": instance.user or None,
        "flavor": instance.flavor or None,
        **({"hypervisor": instance.hypervisor or None} if staff else {}),
        **asdict(instance.rates),
        "idle": {
            "idle": idleness.idle,
            "because": idleness.because or None,
            "cpu_ratio": idleness.cpu_ratio,
            "network_bytes_per_second": idleness.network_bytes_per_second,
            "coverage": idleness.coverage,
        },
    }
