"""Inputs and graphs from node_exporter: size, use and power (RAPL) of a host.

What it shows twice is shown once here: of network devices only cards (not lo, bonds, bridges, VLANs, what containers
have, nor the IP traffic of InfiniBand, which its ports count), of disks whole ones (partitions, dm-* and md* are their
parts).
InfiniBand data are bytes already, though the kernel counts words of four.
"""

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.expression import NODE, Expression, Graph, Metric, largest
from aggregator.sources.prometheus.promql import Matcher, lines, slopes

# intel-rapl-mmio repeats the package's energy under another path; core and uncore are parts of it, and not read.
_ZONES = (("path", "!~", ".*mmio.*"),)
_PACKAGE = {"zones": Metric("node_rapl_package_joules_total", _ZONES)}
_DRAM = {"zones": Metric("node_rapl_dram_joules_total", _ZONES)}
# The slope between the last two samples, at each moment; a counter that stands still measures nothing.
_SLOPE = "(irate($zones[$pair]) > 0 < 1e5)[$moments]"
_RAPL = f"sum by ($node) (max by ($node, $index, $path) (avg_over_time({_SLOPE})))"

PACKAGE_WATTS = Expression(name="package_watts", metrics=_PACKAGE, text=_RAPL, high=1e5)
PACKAGE_MOMENTS = Expression(
    name="package_watts", metrics=_PACKAGE,
    text=f"min by ($node) (max by ($node, $index, $path) (count_over_time({_SLOPE})))", high=1e5,
)  # fmt: skip
DRAM_WATTS = Expression(name="dram_watts", metrics=_DRAM, text=_RAPL, high=1e5)


def _cpu(operator: str, modes: str) -> Metric:
    return Metric("node_cpu_seconds_total", (("mode", operator, modes),))


_IDLE = {"idle": _cpu("=", "idle")}
# One of these grows on every CPU that is switched on, whatever it does; some releases go on showing one that is not.
_COUNTING = {"counting": _cpu("=~", "idle|user|system|nice"), **_IDLE}
_GROWING = "(sum by ($node, $cpu) (max by ($node, $cpu, $mode) (rate($counting[$window]))) > 0)"
# Of a host that has just come no counter is known to grow.
_SHOWN = "count by ($node) (group by ($node, $cpu) ($idle))"
_CAPACITY = (
    f"count by ($node) ({_GROWING} and on ($node, $cpu) $idle)"
    f" or ({_SHOWN} unless on ($node) group by ($node) (rate($idle[$window])))"
)
# Time that a hypervisor has stolen was nobody's work here.
_REST = {"rest": _cpu("=~", "idle|iowait|steal")}
_RESTING = "max by ($node, $cpu, $mode) (rate($rest[$window]))"
CPUS = Expression(name="cpus", metrics=_COUNTING, text=_CAPACITY, low=1.0, high=1e5)
RESTING_CPUS = Expression(name="cpus", metrics=_REST, text=f"sum by ($node) ({_RESTING})", high=1e5)


MEMORY_BYTES = largest("memory_total_bytes", "node_memory_MemTotal_bytes", "$node", low=1.0, high=1e15)

# What of each host is in every snapshot.
HOST_INPUTS = (
    largest("load1", "node_load1", "$node", high=1e6),
    CPUS,
    Expression(
        name="resting_cpus", metrics={**_REST, **_IDLE}, high=1e5,
        text=f"sum by ($node) ({_RESTING} and on ($node, $cpu) $idle)",
    ),
    MEMORY_BYTES,
    largest("memory_available_bytes", "node_memory_MemAvailable_bytes", "$node", high=1e15),
    largest("scratch_bytes", "node_filesystem_size_bytes", "$node", high=1e18, place="scratch"),
    largest("scratch_available_bytes", "node_filesystem_avail_bytes", "$node", high=1e18, place="scratch"),
)  # fmt: skip
# With what the ledger asks for.
INPUTS = (*HOST_INPUTS, PACKAGE_WATTS, PACKAGE_MOMENTS, DRAM_WATTS, RESTING_CPUS)

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
    "assigned": Metric("node_network_name_assign_type"), "protocol": Metric("node_network_protocol_type"),
    "lower": Metric("node_network_iface_link"), "index": Metric("node_network_iface_id"),
}  # fmt: skip
_WHOLE_DISKS = ("device", "=~", "nvme[0-9]+n[0-9]+|sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|mmcblk[0-9]+")
_UNREAL = ("fstype", "!~", "tmpfs|devtmpfs|overlay|squashfs|rootfs|autofs|ramfs|nsfs")
_WIRE = 1e12  # bytes per second that no link has
_KINDS = {
    "total": "MemTotal", "free": "MemFree", "available": "MemAvailable", "buffers": "Buffers", "cached": "Cached",
    "slab": "Slab", "page_tables": "PageTables", "swap_cached": "SwapCached", "hardware_corrupted": "HardwareCorrupted",
}  # fmt: skip


def _two_ways(
    name: str, text: str, unit: str, metric: str, ways: dict[str, str], by: str, only: tuple[Matcher, ...], high: float
) -> Graph:
    """Draw rates of counters that come in two directions."""
    return Graph(
        name=name, help=text, unit=unit, by=_OF_BOTH, high=high,
        metrics={way: Metric(metric.format(said), only) for way, said in ways.items()},
        text=lines("direction", {way: slopes(way, f"$node, {by}", "$node") for way in ways}),
    )  # fmt: skip


def _cards(way: str) -> str:
    """Write the slopes of the devices that are network cards, in one direction."""
    by = "$node, $device"
    named, others = (slopes(f"{way}_{kind}", by, by) for kind in ("named", "others"))
    renamed = f"{others} and on ({by}) ($assigned == 4) and on ({by}) ($protocol == 1)"
    lies_on_another = f"max by ({by}) ($lower) != on ({by}) max by ({by}) ($index)"
    made = f"max by ({by}) ($assigned == 3)"
    return f"(({named} or ({renamed})) unless on ({by}) ({made}) unless on ({by}) ({lies_on_another}))"


def _network() -> Graph:
    """Draw the traffic of network cards: by the names of devices, and by what /sys says of them where that is there."""
    ways = ("receive", "transmit")
    metrics = {
        f"{way}_{kind}": Metric(f"node_network_{way}_bytes_total", (matcher,))
        for way in ways
        for kind, matcher in (("named", _NAMED), ("others", _OTHERS))
    }
    return Graph(
        name="network", help="Traffic of each physical network device of the node.", unit="bytes per second",
        by=_OF_BOTH, text=lines("direction", {way: _cards(way) for way in ways}), high=_WIRE,
        metrics={**metrics, **_SYS},
    )  # fmt: skip


def _space(name: str, help_text: str, text: str, place: str = "") -> Graph:
    only = () if place else (_UNREAL,)
    return Graph(
        name=name, help=help_text, unit="bytes", by=_OF_BOTH, text=text, high=1e18,
        metrics={
            "size": Metric("node_filesystem_size_bytes", only, place),
            "avail": Metric("node_filesystem_avail_bytes", only, place),
        },
    )  # fmt: skip


def _busy(name: str, help_text: str, seconds: Metric, by: str) -> Graph:
    return Graph(
        name=name, help=help_text, unit="cpus", by=_OF_BOTH, metrics={"busy": seconds, **_IDLE}, high=1e5,
        text=slopes("busy", "$node, $cpu, $mode", "$node", summed=by, seen="idle"),
    )  # fmt: skip


def _left(*kinds: str) -> str:
    """Write what of the memory is left without some kinds."""
    return " - ".join(f"max by ($node) (${kind}_mean)" for kind in ("total", *kinds))


# Memory by kind; an old kernel lacks some of them. Of an application is what no other kind accounts for.
_MEMORY = {
    **{kind: f"max by ($node) (${kind}_mean)" for kind in _KINDS},
    "used": f"({_left('free', 'buffers', 'cached')})",
    "application": f"({_left('free', 'buffers', 'cached', 'slab', 'page_tables', 'swap_cached')})",
}
_LOADS = (1, 5, 15)

GRAPHS = (
    _busy(
        "node_cpu", "Busy CPUs of the whole node by mode; iowait is not busy.", _cpu("!=", "idle"), "$node, $mode"
    ),
    _busy(
        "node_busy_cpus", "CPUs of the whole node that work: not idle, waiting for disks, or stolen.",
        _cpu("!~", "idle|iowait|steal"), "$node",
    ),
    Graph(
        name="node_cpus", help="Logical CPUs of the whole node that are switched on.", unit="cpus", by=_OF_BOTH,
        metrics=_COUNTING, text=_CAPACITY, high=1e5,
    ),
    Graph(
        name="load", help="Load averages of 1, 5 and 15 minutes.", unit="tasks", by=_OF_BOTH, high=1e6,
        metrics={f"load{minutes}": Metric(f"node_load{minutes}") for minutes in _LOADS},
        text=lines("period", {f"{minutes}m": f"max by ($node) ($load{minutes}_mean)" for minutes in _LOADS}),
    ),
    Graph(
        name="node_memory",
        help="Memory of the whole node by kind; used is neither free, buffers nor cached, application is that without "
        "slab, page tables and swap cache.",
        unit="bytes", by=_OF_BOTH, metrics={kind: Metric(f"node_memory_{said}_bytes") for kind, said in _KINDS.items()},
        text=lines("kind", _MEMORY), high=1e15,
    ),
    _network(),
    _two_ways(
        "infiniband", "Traffic of each InfiniBand port of the node.", "bytes per second",
        "node_infiniband_port_data_{}_bytes_total", {"receive": "received", "transmit": "transmitted"},
        "$device, $port", (), _WIRE,
    ),
    _two_ways(
        "disk_operations", "Operations of each disk of the node.", "operations per second",
        "node_disk_{}_completed_total", {"read": "reads", "write": "writes"}, "$device", (_WHOLE_DISKS,), 1e9,
    ),
    _two_ways(
        "disk", "Traffic of each disk of the node.", "bytes per second",
        "node_disk_{}_bytes_total", {"read": "read", "write": "written"}, "$device", (_WHOLE_DISKS,), _WIRE,
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
        "max by ($node, $mountpoint) ($size_mean) - max by ($node, $mountpoint) ($avail_mean)",
    ),
)  # fmt: skip

# What is not known without which series.
NEEDED = (
    needed("node_cpu_seconds_total", "the CPUs of nodes, and how busy they are"),
    needed("node_memory_MemTotal_bytes", "the memory of nodes"),
    needed("node_memory_MemAvailable_bytes", "the free memory of nodes"),
    needed("node_load1", "the load of nodes"),
    needed("node_filesystem_size_bytes", "the size of local scratch", always=False),
    needed("node_filesystem_avail_bytes", "the free space of local scratch", always=False),
    needed("node_rapl_package_joules_total", "the power of processors, where BMCs show none", always=False),
    needed("node_rapl_dram_joules_total", "the power of memory, where BMCs show none", always=False),
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
