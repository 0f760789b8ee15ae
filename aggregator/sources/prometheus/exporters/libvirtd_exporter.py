"""Inputs from guilbaults/libvirtd_exporter: the running instances of each hypervisor of an OpenStack cloud.

CPU times are nanoseconds, balloon sizes KiB. An instance is its `uuid`: `instance_name` is not unique and may change.
While an instance migrates, and for as long as a rate looks back, it is on two hypervisors: `max by` the identity first,
so that it is there once. `balloon_usable` exists only where the guest's driver reports it: without it the memory that
is used is not known. `net_tx_drop` is typed gauge and `info` counter: the first is cumulative, the second is always 1.
Metrics and labels of the branches `metadata` and `master` are the same; on a cloud that writes Nova metadata 1.1 only,
`metadata` shows no instance at all.
"""

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.expression import LABELS, Expression, Graph, Metric
from aggregator.sources.prometheus.promql import lines, slopes

LARGEST_BYTES = 1e15
LARGEST_RATE = 1e13

_CPUS = {"vcpus": Metric("libvirtd_domain_vcpu_time")}  # nanoseconds
_STATE = {"state": Metric("libvirtd_domain_domain_state")}
_CURRENT = {"current": Metric("libvirtd_domain_balloon_current")}  # KiB
_BALLOON = {**_CURRENT, "usable": Metric("libvirtd_domain_balloon_usable")}
_DISK = {"read": Metric("libvirtd_domain_block_read_bytes"), "write": Metric("libvirtd_domain_block_write_bytes")}
_DISK_REQUESTS = {
    "read": Metric("libvirtd_domain_block_read_requests"), "write": Metric("libvirtd_domain_block_write_requests"),
}  # fmt: skip
_NETWORK = {
    "receive": Metric("libvirtd_domain_net_rx_bytes"), "transmit": Metric("libvirtd_domain_net_tx_bytes"),
}  # fmt: skip
_DROPPED = {
    "receive": Metric("libvirtd_domain_net_rx_drop"), "transmit": Metric("libvirtd_domain_net_tx_drop"),
}  # fmt: skip

_VM = "$project_name, $uuid, $instance_name"
_SAID = "$user_name, $instance_type"
_OF_BOTH = {"instance": LABELS, "project": LABELS}


def _directions(label: str, metrics: dict[str, Metric]) -> str:
    """Write rates by one more label, each direction from its own metric."""
    return lines("direction", {name: slopes(name, f"{_VM}, {label}", _VM) for name in metrics})


def _slope(name: str) -> str:
    """Write the slope of a counter over the samples that there are: a rate would make what has just come look idle.

    Over a reset only the rate is right.
    """
    return f"deriv(${name}[$window]) unless resets(${name}[$window]) > 0 or rate(${name}[$window])"


_OF_INSTANCES = slopes(
    "vcpus", "$project_name, $uuid, $vcpu", "$project_name, $uuid", summed="$project_name, $uuid"
)  # fmt: skip
GRAPHS = (
    Graph(
        name="cpu", help="Busy CPUs of each instance.", unit="cpus", by={"project": LABELS}, metrics=_CPUS,
        text=slopes("vcpus", f"{_VM}, $vcpu", _VM, summed=_VM),
        scale=1e-9, high=1e5,
    ),
    Graph(
        name="cpu", help="How busy each vCPU is.", unit="cpus", by={"instance": LABELS}, metrics=_CPUS,
        text=slopes("vcpus", f"{_VM}, $vcpu", _VM), scale=1e-9, high=2.0,
    ),
    Graph(
        name="cpu", help="Busy CPUs of each project.", unit="cpus", by={"cloud": LABELS}, metrics=_CPUS,
        text=f"sum by ($project_name) ({_OF_INSTANCES})", there="group($vcpus_now)", scale=1e-9, high=1e7,
    ),
    Graph(
        name="vcpus", help="vCPUs of the running instances.", unit="cpus", by=_OF_BOTH, metrics=_CPUS,
        text="count by ($project_name) (count by ($project_name, $uuid, $vcpu) ($vcpus))",
        high=1e7,
    ),
    Graph(
        name="vcpus", help="vCPUs of all running instances.", unit="cpus", by={"cloud": LABELS}, metrics=_CPUS,
        text="count(count by ($uuid, $vcpu) ($vcpus))", high=1e7,
    ),
    Graph(
        name="memory_used", help="Memory used in each instance, where its balloon driver reports it.", unit="bytes",
        by=_OF_BOTH, metrics=_BALLOON, text=f"max by ({_VM}) ($current_mean - $usable_mean)",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory_used", help="Memory used in each project's instances, where their drivers report it.",
        unit="bytes", by={"cloud": LABELS}, metrics=_BALLOON,
        text="sum by ($project_name) (max by ($project_name, $uuid) ($current_mean - $usable_mean))",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory", help="Memory of the running instances.", unit="bytes", by=_OF_BOTH, metrics=_CURRENT,
        text="sum by ($project_name) (max by ($project_name, $uuid) ($current_mean))",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory", help="Memory of all running instances.", unit="bytes", by={"cloud": LABELS}, metrics=_CURRENT,
        text="sum(max by ($uuid) ($current_mean))", scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="disk", help="Bytes read and written by each instance and block device.", unit="bytes per second",
        by=_OF_BOTH, metrics=_DISK, text=_directions("$device", _DISK), high=LARGEST_RATE,
    ),
    Graph(
        name="disk_operations", help="Reads and writes of each instance and block device.",
        unit="operations per second", by=_OF_BOTH, metrics=_DISK_REQUESTS,
        text=_directions("$device", _DISK_REQUESTS), high=1e9,
    ),
    Graph(
        name="network", help="Traffic of each instance and interface.", unit="bytes per second",
        by=_OF_BOTH, metrics=_NETWORK, text=_directions("$interface", _NETWORK), high=LARGEST_RATE,
    ),
    Graph(
        name="network_dropped", help="Packets dropped by each interface.", unit="packets per second", by=_OF_BOTH,
        metrics=_DROPPED, text=_directions("$interface", _DROPPED), high=1e10,
    ),
    Graph(
        name="state", help="Which instances ran, as libvirt numbers their state: 1 is running.", unit="state",
        by=_OF_BOTH, metrics=_STATE, text=f"max by ({_VM}, {_SAID}) ($state)",
        high=7.0,
    ),
)  # fmt: skip


# The newest sample says what an instance is called, and on which hypervisor it is.
IDENTITY = Expression(
    name="identity", metrics=_STATE, text=f"max by ({_VM}, {_SAID}, $node) (timestamp($state))", low=1.0, high=1e11
)
# 1 while a hypervisor's exporter answers: a target that has shown its series within the last hour, and no other target
# of that scrape job.
HYPERVISORS = Expression(
    name="hypervisors", metrics={"info": Metric("libvirtd_info"), "up": Metric("up")}, high=1.0,
    text="max by ($node) ($up and on (job, instance) group by (job, instance) (last_over_time($info[1h])))",
)  # fmt: skip


def _rate(name: str, metric: Metric, label: str) -> Expression:
    return Expression(
        name=name, metrics={"bytes": metric}, high=LARGEST_RATE,
        text=f"sum by ($uuid) (max by ($uuid, {label}) ({_slope('bytes')}))",
    )  # fmt: skip


NOW_INPUTS = (
    IDENTITY,
    HYPERVISORS,
    Expression(
        name="vcpus", metrics=_CPUS, text="count by ($uuid) (count by ($uuid, $vcpu) ($vcpus))", low=1.0, high=1e5
    ),
    Expression(
        name="used_cpus", metrics=_CPUS, text=f"sum by ($uuid) (max by ($uuid, $vcpu) ({_slope('vcpus')}))",
        scale=1e-9, high=1e5,
    ),
    Expression(
        name="memory_bytes", metrics=_CURRENT, text="max by ($uuid) ($current)", scale=1024.0, high=LARGEST_BYTES
    ),
    Expression(
        name="memory_used_bytes", metrics=_BALLOON, text="max by ($uuid) ($current - $usable)", scale=1024.0,
        high=LARGEST_BYTES,
    ),
    _rate("disk_read_bytes_per_second", _DISK["read"], "$device"),
    _rate("disk_write_bytes_per_second", _DISK["write"], "$device"),
    _rate("network_receive_bytes_per_second", _NETWORK["receive"], "$interface"),
    _rate("network_transmit_bytes_per_second", _NETWORK["transmit"], "$interface"),
)  # fmt: skip


def _increase(metric: str, label: str) -> str:
    """Write what a counter grew by; who has moved or has another name did something before and after.

    Copies of one series are one.
    """
    return f"sum by ($uuid) (max by ({_VM}, {_SAID}, $node, {label}) (increase(${metric}[$points])))"


# What instances did within a time that is looked back over, on whatever hypervisors; `seen` counts their points.
IDLE_INPUTS = (
    Expression(name="cpu_seconds", metrics=_CPUS, text=_increase("vcpus", "$vcpu"), scale=1e-9, high=1e12),
    Expression(
        name="network_bytes", metrics=_NETWORK, high=1e18,
        text=f"{_increase('receive', '$interface')} + {_increase('transmit', '$interface')}",
    ),
    Expression(name="seen", metrics=_STATE, text="count_over_time(group by ($uuid) ($state)[$points])", high=1e6),
)  # fmt: skip

INPUTS = (*NOW_INPUTS, *IDLE_INPUTS)
# What is not known without which series.
NEEDED = (
    needed("libvirtd_domain_domain_state", "which instances run"),
    needed("libvirtd_domain_vcpu_time", "the CPUs of instances, and their use"),
    needed("libvirtd_domain_balloon_current", "the memory of instances"),
    needed("libvirtd_info", "which hypervisors are observed"),
    needed("libvirtd_domain_balloon_usable", "memory used, where the guest reports it", always=False),
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
