"""hpc_instance_* and hpc_project_*: what runs in a cloud, what it uses, and what of it idles."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from aggregator.families.spec import Entity, Family, LabelValues, View
from aggregator.model.cloud import CloudView, Instance, ProjectSums, Rates

_SOURCE = "libvirtd_exporter"


class _Rated(Protocol):
    @property
    def rates(self) -> Rates:
        """Give what is used now."""
        ...


def _clouds(view: View) -> Sequence[CloudView]:
    return (view,) if isinstance(view, CloudView) else ()


def _cloud_of(view: View) -> str:
    return view.cloud if isinstance(view, CloudView) else ""


INSTANCE: Entity[Instance] = Entity(
    name="instance",
    group="cloud",
    labels=("cloud", "project", "uuid", "instance_name"),
    of=lambda view: view.instances if isinstance(view, CloudView) else (),
    label_values=lambda view, each: (_cloud_of(view), each.project, each.uuid, each.name),
)
PROJECT: Entity[ProjectSums] = Entity(
    name="project",
    group="cloud",
    labels=("cloud", "project"),
    of=lambda view: view.projects if isinstance(view, CloudView) else (),
    label_values=lambda view, each: (_cloud_of(view), each.project),
)
CLOUD: Entity[CloudView] = Entity(
    name="cloud", group="cloud", labels=("cloud",), of=_clouds, label_values=lambda _, each: (each.cloud,)
)

# Field of Rates → what it is of one instance, and of the running instances of a project.
_RATES = {
    "vcpus": ("vCPUs", "vcpu_time"),
    "used_cpus": ("Busy CPUs", "vcpu_time"),
    "memory_bytes": ("Memory", "balloon_current"),
    "memory_used_bytes": ("Memory used, where the guest's balloon driver reports it,", "balloon_current − _usable"),
    "disk_read_bytes_per_second": ("Bytes read from disks", "block_read_bytes"),
    "disk_write_bytes_per_second": ("Bytes written to disks", "block_write_bytes"),
    "network_receive_bytes_per_second": ("Bytes received from the network", "net_rx_bytes"),
    "network_transmit_bytes_per_second": ("Bytes sent to the network", "net_tx_bytes"),
}


def _rate(name: str) -> Callable[[_Rated], float | None]:
    return lambda each: getattr(each.rates, name)


def _rates(entity: Entity[Any], prefix: str, whose: str, cost: str) -> Iterable[Family[Any]]:
    return (
        Family(
            name=f"{prefix}_{name}", help=f"{text} of {whose}.", entity=entity, cost=cost,
            source=f"{_SOURCE} libvirtd_domain_{metric}", value=_rate(name),
        )
        for name, (text, metric) in _RATES.items()
    )  # fmt: skip


def _info(instance: Instance) -> Iterable[tuple[LabelValues, float]]:
    yield (instance.user, instance.flavor, instance.hypervisor), 1.0


def _idle(instance: Instance) -> float | None:
    return None if instance.idleness.idle is None else float(instance.idleness.idle)


def _hypervisors(view: CloudView) -> Iterable[tuple[LabelValues, float]]:
    if view.hypervisors:
        up = sum(view.hypervisors.values())
        yield ("up",), up
        yield ("down",), len(view.hypervisors) - up


FAMILIES: tuple[Family[Any], ...] = (
    Family(
        name="hpc_instance_info", help="The running instance, always 1.",
        entity=INSTANCE, cost="instances", source=f"{_SOURCE} libvirtd_domain_domain_state",
        labels=("user", "flavor", "hypervisor"), samples=_info,
    ),
    *_rates(INSTANCE, "hpc_instance", "the instance", "instances"),
    Family(
        name="hpc_instance_idle", help="Whether the instance idles by the cloud's rule; absent while it is not judged.",
        entity=INSTANCE, cost="instances", source="docs/cloud.md", value=_idle,
    ),
    Family(
        name="hpc_project_instances", help="Running instances of the project.",
        entity=PROJECT, cost="projects", source=f"{_SOURCE} libvirtd_domain_domain_state",
        value=lambda each: float(each.instances),
    ),
    *_rates(PROJECT, "hpc_project", "the project's running instances", "projects"),
    Family(
        name="hpc_project_idle_instances", help="Instances of the project that idle; absent while none is judged.",
        entity=PROJECT, cost="projects", source="docs/cloud.md",
        value=lambda each: float(each.idle) if each.judged else None,
    ),
    Family(
        name="hpc_project_idle_vcpus", help="vCPUs of the project's instances that idle.",
        entity=PROJECT, cost="projects", source="docs/cloud.md", value=lambda each: each.idle_vcpus,
    ),
    Family(
        name="hpc_project_idle_memory_bytes", help="Memory of the project's instances that idle.",
        entity=PROJECT, cost="projects", source="docs/cloud.md", value=lambda each: each.idle_memory_bytes,
    ),
    Family(
        name="hpc_cloud_hypervisors",
        help="Hypervisors whose exporter answers (up), and those whose instances are therefore missing (down).",
        entity=CLOUD, cost="clouds × 2", source="up of the targets that have libvirtd_info",
        labels=("state",), samples=_hypervisors,
    ),
)  # fmt: skip
