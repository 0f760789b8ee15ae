"""Inputs and graphs from node_exporter: size, use and power (RAPL) of a host.

What it shows twice is shown once here: of network devices only cards (not lo, bonds, bridges, VLANs, what containers
have, nor the IP traffic of InfiniBand, which its ports count), of disks whole ones (partitions, dm-* and md* are their
parts).
InfiniBand data are bytes already, though the kernel counts words of four.
"""

from collections.abc import Mapping
from dataclasses import replace

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.graphs import NODE, Graph, Series, slopes
from aggregator.sources.prometheus.inputs import Input

# intel-rapl-mmio repeats the package's energy under another path; core and uncore are parts of it, and not read.
# The slope between the last two samples, at each moment; a counter that stands still measures nothing.
_SLOPE = "(irate($zones[$pair]) > 0 < 1e5)[$moments]"
_RAPL = f"sum by ($node) (max by ($node, index, path) (avg_over_time({_SLOPE})))"
_ZONES: Mapping[str, Matcher] = {"zones": ("path", "!~", ".*mmio.*")}

PACKAGE_WATTS = Input(
    name="package_watts",
    metric="node_rapl_package_joules_total",
    expression=_RAPL,
    selectors=_ZONES,
    high=1e5,
)
PACKAGE_MOMENTS = Input(
    name="package_watts",
    metric="node_rapl_package_joules_total",
    expression=f"min by ($node) (max by ($node, index, path) (count_over_time({_SLOPE})))",
    selectors=_ZONES,
    high=1e5,
)
DRAM_WATTS = Input(
    name="dram_watts",
    metric="node_rapl_dram_joules_total",
    expression=_RAPL,
    selectors=_ZONES,
    high=1e5,
)
# One of these grows on every CPU that is switched on, whatever it does; some releases go on showing one that is not.
_COUNTING = ("mode", "=~", "idle|user|system|nice")
_NOW = ("mode", "=", "idle")
_GROWING = "(sum by ($node, cpu) (max by ($node, cpu, mode) (rate($counting[$window]))) > 0)"
# Of a host that has just come no counter is known to grow.
_SHOWN = "count by ($node) (group by ($node, cpu) ($idle))"
_CAPACITY = (
    f"count by ($node) ({_GROWING} and on ($node, cpu) $idle)"
    f" or ({_SHOWN} unless on ($node) group by ($node) (rate($idle[$window])))"
)
CPUS = Input(
    name="cpus",
    metric="node_cpu_seconds_total",
    expression=_CAPACITY,
    selectors={"counting": _COUNTING, "idle": _NOW},
    low=1.0,
    high=1e5,
)
RESTING_CPUS = Input(
    name="cpus",
    metric="node_cpu_seconds_total",
    expression="sum by ($node) (max by ($node, cpu, mode) (rate($rest[$window])))",
    # Time that a hypervisor has stolen was nobody's work here.
    selectors={"rest": ("mode", "=~", "idle|iowait|steal")},
    high=1e5,
)
MEMORY_BYTES = Input(
    name="memory_total_bytes",
    metric="node_memory_MemTotal_bytes",
    expression="max by ($node) ($series)",
    low=1.0,
    high=1e15,
)

# What of each host is in every snapshot.
HOST_INPUTS = (
    Input(name="load1", metric="node_load1", expression="max by ($node) ($series)", high=1e6),
    CPUS,
    replace(
        RESTING_CPUS, name="resting_cpus", selectors={**RESTING_CPUS.selectors, "idle": _NOW},
        expression="sum by ($node) (max by ($node, cpu, mode) (rate($rest[$window])) and on ($node, cpu) $idle)",
    ),
    MEMORY_BYTES,
    Input(
        name="memory_available_bytes", metric="node_memory_MemAvailable_bytes", expression="max by ($node) ($series)",
        high=1e15,
    ),
    Input(
        name="scratch_bytes", metric="node_filesystem_size_bytes", expression="max by ($node) ($scratch)", high=1e18,
        places=("scratch",),
    ),
    Input(
        name="scratch_available_bytes", metric="node_filesystem_avail_bytes",
        expression="max by ($node) ($scratch)", high=1e18, places=("scratch",),
    ),
)  # fmt: skip

# What is shown over time, of the nodes of a job and of a host.
_OF_BOTH = {"job": NODE, "node": NODE}
# As the kernel and udev name devices of Ethernet cards, without VLANs; hsn is Slingshot.
_NAMED = ("device", "=~", "eth[0-9]+|en[0-9A-Za-z]+|em[0-9]+(_[0-9]+)?|p[0-9]+p[0-9]+(_[0-9]+)?|hsn[0-9]+")
# A name that the site has given may be that of a card; these are not. The traffic of ib* is that of its ports.
_VIRTUAL = (
    "lo", "ib.*", "bond.*", "team.*", "br.*", "vmbr.*", "docker.*", "podman.*", "veth.*", "virbr.*", "vnet.*", "cni.*",
    "cali.*", "flannel.*", "cilium.*", "lxc.*", "lxd.*", "kube-.*", "nodelocaldns.*", "weave.*", "tap.*", "tun.*",
    "dummy.*", "ifb.*", "vlan.*", "vxlan.*", "genev.*", "macvtap.*", "macvlan.*", "ipvlan.*", "wg.*", "ovs-.*", "gre.*",
    "erspan.*", "sit.*", "ip6.*", "ip_vti.*", "vrf.*", "ppp.*", "tailscale.*", r".*[.@].*",
)  # fmt: skip
_OTHERS = ("device", "!~", "|".join(_VIRTUAL))
# What /sys says of devices, by the collector netclass: a user has made it (3), udev has renamed it (4); it is Ethernet;
# it lies on another one.
_SYS = {
    "assigned": Series("node_network_name_assign_type"), "protocol": Series("node_network_protocol_type"),
    "lower": Series("node_network_iface_link"), "index": Series("node_network_iface_id"),
}  # fmt: skip
_WHOLE_DISKS = ("device", "=~", "nvme[0-9]+n[0-9]+|sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|mmcblk[0-9]+")
_UNREAL = ("fstype", "!~", "tmpfs|devtmpfs|overlay|squashfs|rootfs|autofs|ramfs|nsfs")
_IDLE = {"idle": Series("node_cpu_seconds_total", (("mode", "=", "idle"),))}
_WIRE = 1e12  # bytes per second that no link has
_KINDS = {
    "total": "MemTotal", "free": "MemFree", "available": "MemAvailable", "buffers": "Buffers", "cached": "Cached",
    "slab": "Slab", "page_tables": "PageTables", "swap_cached": "SwapCached", "hardware_corrupted": "HardwareCorrupted",
}  # fmt: skip


def _two_ways(
    name: str, text: str, unit: str, metric: str, ways: dict[str, str], by: str, only: tuple[Matcher, ...], high: float
) -> Graph:
    """Draw rates of counters that come in two directions."""
    lines = (
        f"label_replace({slopes(lambda slope: f'max by ($node, {by}) ({slope})', way, '$node')},"
        f' "direction", "{way}", "", "")'
        for way in ways
    )
    return Graph(
        name=name, help=text, unit=unit, by=_OF_BOTH, expression=" or ".join(lines), high=high,
        series={way: Series(metric.format(said), only) for way, said in ways.items()},
    )  # fmt: skip


def _cards(way: str) -> str:
    """Write the slopes of the devices that are network cards, in one direction."""
    named, others = (
        slopes(lambda slope: f"max by ($node, device) ({slope})", f"{way}_{kind}", "$node, device")
        for kind in ("named", "others")
    )
    renamed = f"{others} and on ($node, device) ($assigned == 4) and on ($node, device) ($protocol == 1)"
    lies_on_another = "max by ($node, device) ($lower) != on ($node, device) max by ($node, device) ($index)"
    made = "max by ($node, device) ($assigned == 3)"
    return (
        f"(({named} or ({renamed})) unless on ($node, device) ({made}) unless on ($node, device) ({lies_on_another}))"
    )


def _network() -> Graph:
    """Draw the traffic of network cards: by the names of devices, and by what /sys says of them where that is there."""
    ways = ("receive", "transmit")
    lines = (f'label_replace({_cards(way)}, "direction", "{way}", "", "")' for way in ways)
    series = {
        f"{way}_{kind}": Series(f"node_network_{way}_bytes_total", (matcher,))
        for way in ways
        for kind, matcher in (("named", _NAMED), ("others", _OTHERS))
    }
    return Graph(
        name="network", help="Traffic of each physical network device of the node.", unit="bytes per second",
        by=_OF_BOTH, expression=" or ".join(lines), high=_WIRE, series={**series, **_SYS},
    )  # fmt: skip


def _space(name: str, text: str, expression: str, at: str = "") -> Graph:
    only = () if at else (_UNREAL,)
    return Graph(
        name=name, help=text, unit="bytes", by=_OF_BOTH, expression=expression, high=1e18,
        series={
            "size": Series("node_filesystem_size_bytes", only, at),
            "avail": Series("node_filesystem_avail_bytes", only, at),
        },
    )  # fmt: skip


def _kind(expression: str, kind: str) -> str:
    return f'label_replace({expression}, "kind", "{kind}", "", "")'


# What no other kind accounts for; an old kernel lacks some of them.
_APPLICATIONS = "max by ($node) ($total_mean)" + "".join(
    f" - max by ($node) (${kind}_mean)" for kind in ("free", "buffers", "cached", "slab", "page_tables", "swap_cached")
)
_USED = "max by ($node) ($total_mean)" + "".join(
    f" - max by ($node) (${kind}_mean)" for kind in ("free", "buffers", "cached")
)

GRAPHS = (
    Graph(
        name="node_cpu", help="Busy CPUs of the whole node by mode; iowait is not busy.", unit="cpus", by=_OF_BOTH,
        series={"seconds": Series("node_cpu_seconds_total", (("mode", "!=", "idle"),)), **_IDLE}, high=1e5,
        expression=slopes(
            lambda slope: f"sum by ($node, mode) (max by ($node, cpu, mode) ({slope}))", "seconds", "$node", seen="idle"
        ),
    ),
    Graph(
        name="node_busy_cpus", help="CPUs of the whole node that work: not idle, waiting for disks, or stolen.",
        unit="cpus", by=_OF_BOTH,
        series={"busy": Series("node_cpu_seconds_total", (("mode", "!~", "idle|iowait|steal"),)), **_IDLE},
        expression=slopes(
            lambda slope: f"sum by ($node) (max by ($node, cpu, mode) ({slope}))", "busy", "$node", seen="idle"
        ),
        high=1e5,
    ),
    Graph(
        name="node_cpus", help="Logical CPUs of the whole node that are switched on.", unit="cpus", by=_OF_BOTH,
        series={
            "counting": Series("node_cpu_seconds_total", (_COUNTING,)),
            "idle": Series("node_cpu_seconds_total", (_NOW,)),
        },
        expression=_CAPACITY, high=1e5,
    ),
    Graph(
        name="load", help="Load averages of 1, 5 and 15 minutes.", unit="tasks", by=_OF_BOTH,
        series={f"load{minutes}": Series(f"node_load{minutes}") for minutes in (1, 5, 15)},
        expression=" or ".join(
            f'label_replace(max by ($node) ($load{minutes}_mean), "period", "{minutes}m", "", "")'
            for minutes in (1, 5, 15)
        ),
        high=1e6,
    ),
    Graph(
        name="node_memory",
        help="Memory of the whole node by kind; used is neither free, buffers nor cached, application is that without "
        "slab, page tables and swap cache.",
        unit="bytes", by=_OF_BOTH, series={kind: Series(f"node_memory_{said}_bytes") for kind, said in _KINDS.items()},
        expression=" or ".join(
            (
                *(_kind(f"max by ($node) (${kind}_mean)", kind) for kind in _KINDS),
                _kind(f"({_USED})", "used"),
                _kind(f"({_APPLICATIONS})", "application"),
            )
        ),
        high=1e15,
    ),
    _network(),
    _two_ways(
        "infiniband", "Traffic of each InfiniBand port of the node.", "bytes per second",
        "node_infiniband_port_data_{}_bytes_total", {"receive": "received", "transmit": "transmitted"}, "device, port",
        (), _WIRE,
    ),
    _two_ways(
        "disk_operations", "Operations of each disk of the node.", "operations per second",
        "node_disk_{}_completed_total", {"read": "reads", "write": "writes"}, "device", (_WHOLE_DISKS,), 1e9,
    ),
    _two_ways(
        "disk", "Traffic of each disk of the node.", "bytes per second",
        "node_disk_{}_bytes_total", {"read": "read", "write": "written"}, "device", (_WHOLE_DISKS,), _WIRE,
    ),
    _space(
        "scratch", "Space used where the site has its local scratch (scratch_mount).",
        "max by ($node) ($size_mean) - max by ($node) ($avail_mean)", "scratch",
    ),
    _space(
        "scratch_size", "Size of the local scratch.", "max by ($node) ($size_mean) + 0 * max by ($node) ($avail_mean)",
        "scratch",
    ),
    _space(
        "filesystems", "Space used of each mounted file system but those in memory.",
        "max by ($node, mountpoint) ($size_mean) - max by ($node, mountpoint) ($avail_mean)",
    ),
)  # fmt: skip
