"""Inputs from guilbaults/libvirtd_exporter: the running instances of each hypervisor of an OpenStack cloud.

CPU times are nanoseconds, balloon sizes KiB. An instance is its `uuid`: `instance_name` is not unique and may change.
While an instance migrates, and for as long as a rate looks back, it is on two hypervisors: `max by` the identity first,
so that it is there once. `balloon_usable` exists only where the guest's driver reports it: without it the memory that
is used is not known. `net_tx_drop` is typed gauge and `info` counter: the first is cumulative, the second is always 1.
Metrics and labels of the branches `metadata` and `master` are the same; on a cloud that writes Nova metadata 1.1 only,
`metadata` shows no instance at all.
"""

import math

from aggregator.sources.prometheus.graphs import LABELS, Graph, Series, slopes

LARGEST_BYTES = 1e15
LARGEST_RATE = 1e13
# Points of a look back over the whole duration of idleness; raw samples would be a hundred times as many.
IDLE_POINTS = 100

_CPUS = {"vcpus": Series("libvirtd_domain_vcpu_time")}  # nanoseconds
_STATE = {"state": Series("libvirtd_domain_domain_state")}
_CURRENT = {"current": Series("libvirtd_domain_balloon_current")}  # KiB
_BALLOON = {**_CURRENT, "usable": Series("libvirtd_domain_balloon_usable")}
_READ, _WRITE = Series("libvirtd_domain_block_read_bytes"), Series("libvirtd_domain_block_write_bytes")
_RX, _TX = Series("libvirtd_domain_net_rx_bytes"), Series("libvirtd_domain_net_tx_bytes")

_VM = "project_name, uuid, instance_name"
_OF_BOTH = {"instance": LABELS, "project": LABELS}


def _directions(label: str, **series: str) -> str:
    """Write rates by one more label, each direction from its own metric."""
    return " or ".join(
        f"label_replace({slopes(lambda slope: f'max by ({_VM}, {label}) ({slope})', name, _VM)},"
        f' "direction", "{direction}", "", "")'
        for direction, name in series.items()
    )


def _slope(name: str) -> str:
    """Write the slope of a counter over the samples that there are: a rate would make what has just come look idle.

    Over a reset only the rate is right.
    """
    return f"deriv(${name}[$window]) unless resets(${name}[$window]) > 0 or rate(${name}[$window])"


_OF_INSTANCES = slopes(
    lambda slope: f"sum by (project_name, uuid) (max by (project_name, uuid, vcpu) ({slope}))",
    "vcpus", "project_name, uuid",
)  # fmt: skip
GRAPHS = (
    Graph(
        name="cpu", help="Busy CPUs of each instance.", unit="cpus", by={"project": LABELS}, series=_CPUS,
        expression=slopes(lambda slope: f"sum by ({_VM}) (max by ({_VM}, vcpu) ({slope}))", "vcpus", _VM),
        scale=1e-9, high=1e5,
    ),
    Graph(
        name="cpu", help="How busy each vCPU is.", unit="cpus", by={"instance": LABELS}, series=_CPUS,
        expression=slopes(lambda slope: f"max by ({_VM}, vcpu) ({slope})", "vcpus", _VM), scale=1e-9, high=2.0,
    ),
    Graph(
        name="cpu", help="Busy CPUs of each project.", unit="cpus", by={"cloud": LABELS}, series=_CPUS,
        expression=f"sum by (project_name) ({_OF_INSTANCES})", there="group($vcpus_now)", scale=1e-9, high=1e7,
    ),
    Graph(
        name="vcpus", help="vCPUs of the running instances.", unit="cpus", by=_OF_BOTH, series=_CPUS,
        expression="count by (project_name) (count by (project_name, uuid, vcpu) ($vcpus))",
        high=1e7,
    ),
    Graph(
        name="vcpus", help="vCPUs of all running instances.", unit="cpus", by={"cloud": LABELS}, series=_CPUS,
        expression="count(count by (uuid, vcpu) ($vcpus))", high=1e7,
    ),
    Graph(
        name="memory_used", help="Memory used in each instance, where its balloon driver reports it.", unit="bytes",
        by=_OF_BOTH, series=_BALLOON, expression=f"max by ({_VM}) ($current_mean - $usable_mean)",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory_used", help="Memory used in each project's instances, where their drivers report it.",
        unit="bytes", by={"cloud": LABELS}, series=_BALLOON,
        expression="sum by (project_name) (max by (project_name, uuid) ($current_mean - $usable_mean))",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory", help="Memory of the running instances.", unit="bytes", by=_OF_BOTH, series=_CURRENT,
        expression="sum by (project_name) (max by (project_name, uuid) ($current_mean))",
        scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="memory", help="Memory of all running instances.", unit="bytes", by={"cloud": LABELS}, series=_CURRENT,
        expression="sum(max by (uuid) ($current_mean))", scale=1024.0, high=LARGEST_BYTES,
    ),
    Graph(
        name="disk", help="Bytes read and written by each instance and block device.", unit="bytes per second",
        by=_OF_BOTH, series={"read": _READ, "write": _WRITE},
        expression=_directions("device", read="read", write="write"), high=LARGEST_RATE,
    ),
    Graph(
        name="disk_operations", help="Reads and writes of each instance and block device.",
        unit="operations per second", by=_OF_BOTH,
        series={
            "read": Series("libvirtd_domain_block_read_requests"),
            "write": Series("libvirtd_domain_block_write_requests"),
        },
        expression=_directions("device", read="read", write="write"), high=1e9,
    ),
    Graph(
        name="network", help="Traffic of each instance and interface.", unit="bytes per second",
        by=_OF_BOTH, series={"rx": _RX, "tx": _TX},
        expression=_directions("interface", receive="rx", transmit="tx"), high=LARGEST_RATE,
    ),
    Graph(
        name="network_dropped", help="Packets dropped by each interface.", unit="packets per second", by=_OF_BOTH,
        series={"rx": Series("libvirtd_domain_net_rx_drop"), "tx": Series("libvirtd_domain_net_tx_drop")},
        expression=_directions("interface", receive="rx", transmit="tx"), high=1e10,
    ),
    Graph(
        name="state", help="Which instances ran, as libvirt numbers their state: 1 is running.", unit="state",
        by=_OF_BOTH, series=_STATE, expression=f"max by ({_VM}, user_name, instance_type) ($state)",
        high=7.0,
    ),
)  # fmt: skip


def _input(
    name: str, series: dict[str, Series], expression: str, *, scale: float = 1.0, low: float = 0.0, high: float
) -> Graph:
    """Declare what a refresh asks for, of all instances at once."""
    return Graph(
        name=name, help="", unit="", by={}, series=series, expression=expression, scale=scale, low=low, high=high,
    )  # fmt: skip


# The newest sample says what an instance is called, and on which hypervisor it is.
IDENTITY = _input(
    "identity", _STATE,
    f"max by ({_VM}, user_name, instance_type, $node) (timestamp($state))", low=1.0, high=1e11,
)  # fmt: skip
# 1 while a hypervisor's exporter answers: a target that has shown its series within the last hour, and no other target
# of that scrape job.
HYPERVISORS = _input(
    "hypervisors", {"up": Series("up"), "info": Series("libvirtd_info")},
    "max by ($node) ($up and on (job, instance) group by (job, instance) (last_over_time($info[1h])))", high=1.0,
)  # fmt: skip
INSTANCE_INPUTS = (
    _input("vcpus", _CPUS, "count by (uuid) (count by (uuid, vcpu) ($vcpus))", low=1.0, high=1e5),
    _input("used_cpus", _CPUS, f"sum by (uuid) (max by (uuid, vcpu) ({_slope('vcpus')}))", scale=1e-9, high=1e5),
    _input("memory_bytes", _CURRENT, "max by (uuid) ($current)", scale=1024.0, high=LARGEST_BYTES),
    _input("memory_used_bytes", _BALLOON, "max by (uuid) ($current - $usable)", scale=1024.0, high=LARGEST_BYTES),
    *(
        _input(name, {"bytes": series}, f"sum by (uuid) (max by (uuid, {label}) ({_slope('bytes')}))",
               high=LARGEST_RATE)
        for name, series, label in (
            ("disk_read_bytes_per_second", _READ, "device"),
            ("disk_write_bytes_per_second", _WRITE, "device"),
            ("network_receive_bytes_per_second", _RX, "interface"),
            ("network_transmit_bytes_per_second", _TX, "interface"),
        )
    ),
)  # fmt: skip


def idle_resolution(duration: float) -> int:
    """Give the seconds between two points of a look back over `duration` seconds."""
    return max(1, math.ceil(duration / IDLE_POINTS))


def idle_inputs(duration: float) -> tuple[Graph, ...]:
    """Declare what instances did within `duration` seconds, on whatever hypervisors; `seen` counts their points."""
    back = f"[{math.ceil(duration)}s:{idle_resolution(duration)}s]"
    # One that has moved, or has another name now, did something before and after; copies of one series are one.
    increase = f"sum by (uuid) (max by ({_VM}, user_name, instance_type, $node, {{}}) (increase({{}}{back})))"
    return (
        _input("cpu_seconds", _CPUS, increase.format("vcpu", "$vcpus"), scale=1e-9, high=1e12),
        _input(
            "network_bytes", {"rx": _RX, "tx": _TX},
            f"{increase.format('interface', '$rx')} + {increase.format('interface', '$tx')}", high=1e18,
        ),
        _input("seen", _STATE, f"count_over_time(group by (uuid) ($state){back})", high=1e6),
    )  # fmt: skip
