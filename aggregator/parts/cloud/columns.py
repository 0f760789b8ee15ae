"""The tables of a cloud: its instances, its projects, and its hypervisors."""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from aggregator.engine.column import Column, DType, Family, Sample, Table

_SOURCE: Final = "libvirtd_exporter"
# Number → what it is of one instance, and of the running instances of a project; and its series.
_RATES: Final[Mapping[str, tuple[str, str]]] = {
    "vcpus": ("vCPUs", "vcpu_time"),
    "used_cpus": ("Busy CPUs", "vcpu_time"),
    "memory_bytes": ("Memory", "balloon_current"),
    "memory_used_bytes": ("Memory used, where the guest's balloon driver reports it,", "balloon_current − _usable"),
    "disk_read_bytes_per_second": ("Bytes read from disks", "block_read_bytes"),
    "disk_write_bytes_per_second": ("Bytes written to disks", "block_write_bytes"),
    "network_receive_bytes_per_second": ("Bytes received from the network", "net_rx_bytes"),
    "network_transmit_bytes_per_second": ("Bytes sent to the network", "net_tx_bytes"),
}


def _fact(name: str, help: str, dtype: DType = pl.String, null: str = "not known") -> Column:
    return Column(name=name, dtype=dtype, help=help, null=null)


def _gauge(
    family: str, name: str, help: str, cost: str, source: str = "docs/cloud.md", dtype: DType = pl.Float64
) -> Column:
    shown = Family(name=family, help=help, cost=cost, source=source)
    return Column(name=name, dtype=dtype, help=help, sample=Sample(family=shown))


def _rates(prefix: str, whose: str, cost: str) -> Iterator[Column]:
    for name, (text, metric) in _RATES.items():
        source = f"{_SOURCE} libvirtd_domain_{metric}"
        yield _gauge(f"{prefix}_{name}", name, f"{text} of {whose}.", cost, source)


_INFO: Final = Family(
    name="hpc_instance_info", help="The running instance, always 1.", cost="instances",
    source=f"{_SOURCE} libvirtd_domain_domain_state", labels=("user", "flavor", "hypervisor"),
)  # fmt: skip
INSTANCES: Final = Table(
    name="instances", of="instance", collect="cloud", size="vcpus",
    labels={"project": "project", "uuid": "uuid", "instance_name": "instance_name"},
    columns=(
        Column(name="uuid", dtype=pl.String, help="The instance.", sample=Sample(
            family=_INFO, label_columns={label: label for label in _INFO.labels}, constant=True)),
        _fact("project", "The project, empty where it is not told."),
        _fact("instance_name", "What OpenStack calls it."),
        _fact("user", "Who has made it."),
        _fact("flavor", "Its flavour."),
        _fact("hypervisor", "Where it runs."),
        *_rates("hpc_instance", "the instance", "instances"),
        _gauge("hpc_instance_idle", "idle", "Whether the instance idles by the cloud's rule; absent while it is not "
               "judged.", "instances", dtype=pl.Boolean),
        _fact("idle_because", "Why it is not called idle.", null="it idles"),
        _fact("cpu_ratio", "CPU time used ÷ that of its vCPUs, over the rule's duration.", pl.Float64),
        _fact("network_bytes_per_second", "Mean of its network traffic over the rule's duration.", pl.Float64),
        _fact("coverage_ratio", "Share of the rule's duration in which it was seen.", pl.Float64),
    ),
)  # fmt: skip
PROJECTS: Final = Table(
    name="projects", of="project", collect="cloud", labels={"project": "project"}, size="vcpus",
    columns=(
        _fact("project", "The project, empty for instances of none."),
        _gauge("hpc_project_instances", "instances", "Running instances of the project.", "projects",
               f"{_SOURCE} libvirtd_domain_domain_state", pl.Int64),
        *_rates("hpc_project", "the project's running instances", "projects"),
        _fact("judged", "Instances that were judged at all.", pl.Int64),
        _gauge("hpc_project_idle_instances", "idle_instances",
               "Instances of the project that idle; absent while none is judged.", "projects", dtype=pl.Int64),
        _gauge("hpc_project_idle_vcpus", "idle_vcpus", "vCPUs of the project's instances that idle.", "projects"),
        _gauge("hpc_project_idle_memory_bytes", "idle_memory_bytes", "Memory of the project's instances that idle.",
               "projects"),
        _fact("memory_coverage_ratio", "Share of the memory of whose use is known.", pl.Float64),
    ),
)  # fmt: skip
HYPERVISORS: Final = Table(
    name="hypervisors", of="hypervisor", collect="cloud", labels={},
    columns=(_fact("hypervisor", "Its name."), _fact("up", "Whether its exporter answers.", pl.Boolean)),
)  # fmt: skip
HYPERVISOR_STATES: Final = Table(
    name="hypervisor_states", of="state of hypervisors", collect="cloud", labels={},
    columns=(
        _fact("state", "`up` or `down`."),
        Column(name="count", dtype=pl.Int64, help="How many.", sample=Sample(
            label_columns={"state": "state"},
            family=Family(
                name="hpc_cloud_hypervisors", cost="clouds × 2", labels=("state",),
                help="Hypervisors whose exporter answers (up), and those whose instances are therefore missing (down).",
                source="up of the targets that have libvirtd_info",
            ))),
    ),
)  # fmt: skip
MEMBERS: Final = Table(
    name="members", of="user who may see a project", collect="cloud", labels={},
    columns=(_fact("project", "The project."), _fact("user", "The user.")),
)  # fmt: skip
CLOUD: Final = Table(
    name="cloud", of="cloud", collect="cloud", labels={},
    columns=(
        _fact("rule_duration_seconds", "Over which time an instance must be idle.", pl.Float64),
        _fact("rule_cpu_ratio", "Below which use of its vCPUs it idles.", pl.Float64),
        _fact("rule_network_bytes_per_second", "Below which traffic it idles.", pl.Float64),
        *(_fact(column.name, f"Of all instances: {column.help}", column.dtype) for column in PROJECTS.columns[1:]),
    ),
)  # fmt: skip
TABLES: Final = (CLOUD, INSTANCES, PROJECTS, HYPERVISORS, HYPERVISOR_STATES, MEMBERS)
