"""The cloud's pages (C13): the vCPUs, memory, disks and network of instances, projects and the whole cloud."""

from typing import Any

from tests.catalogue.entry import Entry

_PROJECT = "cloud/projects/$PROJ/series"
_INSTANCE = "cloud/instances/$UUID/series"
_CLOUD = "cloud/series"
_GIB, _MIB = 2.0**30, 2.0**20
_VM = {"uuid": "uuid", "instance_name": "instance_name"}
_BY_PROJECT = {"project_name": "project_name"}
_ONE = 'project_name="$PROJ", uuid="$UUID", $F'
_ALL = 'project_name="$PROJ", $F'
_READ_WRITE = (("read", "read"), ("write", "write"))
_RX_TX = (("rx", "receive"), ("tx", "transmit"))


def _vcpus(data: Any) -> dict[tuple[str, ...], float]:
    return {(project["project"],): project["vcpus"] for project in data["projects"]}


def _used(matchers: str) -> str:
    return f"(libvirtd_domain_balloon_current{{{matchers}}} - libvirtd_domain_balloon_usable{{{matchers}}}) / 1024/1024"


def _rates(number: str, of: str, series: str, metric: str, label: str, factor: float) -> tuple[Entry, ...]:
    """Make the entries of both directions; the portal shows a line for each device or interface."""
    directions = _READ_WRITE if label == "device" else _RX_TX
    path, matchers = (_INSTANCE, _ONE) if of == "instance" else (_PROJECT, _ALL)
    unit = "" if factor == 1.0 else " / 1024/1024"
    return tuple(
        Entry(
            id=number, portal=f"rate(libvirtd_domain_{series.format(theirs)}{{{matchers}}}[$window]){unit}",
            path=path, metric=metric, labels={**_VM, label: label}, only={"direction": ours}, factor=factor,
        )
        for theirs, ours in directions
    )  # fmt: skip


ENTRIES = (
    Entry(
        id="CS1", portal="count(libvirtd_domain_vcpu_time{$F}) by (project_name)", path="cloud/projects",
        metric="vcpus", labels=_BY_PROJECT, read=_vcpus,
    ),
    Entry(
        id="CS2", portal=f"libvirtd_domain_domain_state{{{_ALL}}}", path=_PROJECT, metric="state",
        labels={**_VM, "user_name": "user_name", "instance_type": "instance_type"},
    ),
    Entry(
        id="CS3", portal=f"libvirtd_domain_domain_state{{{_ONE}}}", path=_INSTANCE, metric="state", labels=_VM,
    ),
    Entry(
        id="CS4",
        portal=f"sum(rate(libvirtd_domain_vcpu_time{{{_ALL}}}[$window])) by (uuid, instance_name) / 1000000000",
        path=_PROJECT, metric="cpu", labels=_VM,
    ),
    Entry(id="CS5", portal=f"sum(count(libvirtd_domain_vcpu_time{{{_ALL}}}))", path=_PROJECT, metric="vcpus"),
    Entry(
        id="CS6", portal="sum(rate(libvirtd_domain_vcpu_time{$F}[$window])) by (project_name) / 1000000000",
        path=_CLOUD, metric="cpu", labels=_BY_PROJECT,
    ),
    Entry(
        id="CS7", portal="sum(count(libvirtd_domain_vcpu_time{$F})) by (project_name)", path=_CLOUD, metric="vcpus",
    ),
    Entry(
        id="CS8", portal=f"rate(libvirtd_domain_vcpu_time{{{_ONE}}}[$window]) / 1000000000",
        path=_INSTANCE, metric="cpu", labels={"vcpu": "vcpu"},
    ),
    Entry(id="CS9", portal=f"sum(count(libvirtd_domain_vcpu_time{{{_ONE}}}))", path=_INSTANCE, metric="vcpus"),
    Entry(id="CS10", portal=_used(_ALL), path=_PROJECT, metric="memory_used", labels=_VM, factor=_GIB),
    Entry(
        id="CS11", portal=f"sum(libvirtd_domain_balloon_current{{{_ALL}}}) / 1024/1024",
        path=_PROJECT, metric="memory", factor=_GIB,
    ),
    Entry(id="CS12", portal=_used(_ONE), path=_INSTANCE, metric="memory_used", labels=_VM, factor=_GIB),
    Entry(
        id="CS13", portal=f"sum(libvirtd_domain_balloon_current{{{_ONE}}}) / 1024/1024",
        path=_INSTANCE, metric="memory", factor=_GIB,
    ),
    Entry(
        id="CS14", portal=f"sum({_used('$F')}) by (project_name)",
        path=_CLOUD, metric="memory_used", labels=_BY_PROJECT, factor=_GIB,
    ),
    Entry(
        id="CS15", portal="sum((libvirtd_domain_balloon_current{$F}) / 1024/1024)",
        path=_CLOUD, metric="memory", factor=_GIB,
    ),
    *_rates("CS16", "project", "block_{}_bytes", "disk", "device", _MIB),
    *_rates("CS17", "instance", "block_{}_bytes", "disk", "device", _MIB),
    *_rates("CS18", "project", "block_{}_requests", "disk_operations", "device", 1.0),
    *_rates("CS19", "instance", "block_{}_requests", "disk_operations", "device", 1.0),
    *_rates("CS20", "project", "net_{}_bytes", "network", "interface", _MIB),
    *_rates("CS21", "instance", "net_{}_bytes", "network", "interface", _MIB),
)  # fmt: skip
