"""What node_exporter shows of a host, as far as the service reads it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tests.lab.exporters.activity import Activity
from tests.lab.slurm_config import CPUS_PER_NODE, MEMORY_MB_PER_NODE

SCRATCH = "/localscratch"
_TIB = 1 << 40
_MOUNT = ("device", "device_error", "fstype", "mountpoint")


@dataclass(frozen=True)
class Devices:
    """The devices of one host: bytes per second of each network device and disk, and what is mounted."""

    network: Mapping[str, float]
    disks: Mapping[str, float]
    mounts: Mapping[tuple[str, str, str], int]


USUAL = Devices(
    {"eth0": 1e6, "ib0": 2e6, "lo": 5e5},
    {"sda": 3e6, "nvme0n1": 4e7},
    {("/dev/sda1", "xfs", "/"): _TIB // 4, ("/dev/nvme0n1p1", "xfs", SCRATCH): 2 * _TIB},
)
# What common patterns miss, or count twice.
ODD = Devices(
    {
        **USUAL.network,
        "eth1": 1e6,
        "bond0": 2e6,
        "br-lan": 2e6,
        "eth0.100": 5e5,
        "ifb0": 1e6,
        "vlan100": 5e5,
        "wg0": 1e5,
        "ovs-system": 1e5,
        "genev_sys_6081": 1e5,
        "lxc0a1b2c": 1e5,
        "macvtap0": 1e5,
        "kube-ipvs0": 1.0,
        "cilium_host": 1e5,
        "nodelocaldns": 1.0,
        "gre0": 1.0,
        "sit0": 1.0,
    },
    {**USUAL.disks, "sdaa": 1e6, "nvme10n1": 2e6, "dm-0": 3e6, "md127": 3e6},
    {**USUAL.mounts, ("tmpfs", "tmpfs", "/run"): _TIB // 100},
)


def node_exporter(
    jobs: Sequence[Activity], uptime: float, devices: Devices = USUAL, people: float = 0.0
) -> Iterator[Metric]:
    """Yield what the service reads; a host's CPUs are busy with its jobs, and with *people* to this share."""
    yield _cpus(jobs, uptime, people)
    for minutes in (1, 5, 15):
        yield GaugeMetricFamily(f"node_load{minutes}", "Load average", value=len(jobs) + people * minutes)
    yield from _memory(jobs)
    yield from _network(devices, uptime)
    yield from _disks(devices, uptime)
    yield from _filesystems(devices)


def _cpus(jobs: Sequence[Activity], uptime: float, people: float) -> Metric:
    busy = {core: job.behaviour.cpu * job.elapsed for job in jobs for core in job.share.cpus}
    seconds = CounterMetricFamily("node_cpu_seconds", "CPU time by mode", labels=("cpu", "mode"))
    for core in range(CPUS_PER_NODE):
        user = busy.get(core, 0.0) + people * uptime
        seconds.add_metric((str(core), "user"), user)
        seconds.add_metric((str(core), "system"), people * uptime / 2)
        seconds.add_metric((str(core), "iowait"), people * uptime / 4)
        seconds.add_metric((str(core), "idle"), max(0.0, uptime - user - people * uptime * 0.75))
        for mode in ("irq", "nice", "softirq", "steal"):
            seconds.add_metric((str(core), mode), 0.0)
    return seconds


def _memory(jobs: Sequence[Activity]) -> Iterator[Metric]:
    total = MEMORY_MB_PER_NODE << 20
    cached = sum(job.behaviour.cache for job in jobs)
    small = {
        "Buffers": 3 << 20,
        "Slab": 900 << 20,
        "PageTables": 50 << 20,
        "SwapCached": 1 << 20,
        "HardwareCorrupted": 4096,
    }
    used = sum(job.behaviour.rss(job.cpus) for job in jobs)
    values = {
        "MemTotal": total, "MemAvailable": total - used, "Cached": cached, **small, "HardwareCorrupted": 4096,
        "MemFree": total - used - cached - sum(small.values()),
    }  # fmt: skip
    for field, value in values.items():
        yield GaugeMetricFamily(f"node_memory_{field}_bytes", f"Memory information field {field}", value=value)


def _network(devices: Devices, uptime: float) -> Iterator[Metric]:
    for direction, factor in (("receive", 1.0), ("transmit", 0.5)):
        family = CounterMetricFamily(f"node_network_{direction}_bytes", "Network device statistic", labels=("device",))
        for device, rate in devices.network.items():
            family.add_metric((device,), rate * factor * uptime)
        yield family
    yield from _classes(devices)
    for direction, rate in (("received", 8e6), ("transmitted", 6e6)):
        family = CounterMetricFamily(
            f"node_infiniband_port_data_{direction}_bytes", "Bytes of a port", labels=("device", "port")
        )
        family.add_metric(("mlx5_0", "1"), rate * uptime)
        yield family


def _classes(devices: Devices) -> Iterator[Metric]:
    """Yield what /sys says of the network devices, as the collector netclass does."""
    facts: dict[str, dict[str, float]] = {}
    for index, device in enumerate(devices.network):
        is_card, above = device in ("eth0", "eth1"), "." in device or device.startswith(("vlan", "lxc", "macvtap"))
        facts[device] = {
            "iface_id": index + 1, "iface_link": index if above else index + 1,
            "name_assign_type": 1 if is_card or device == "ifb0" else 4 if device == "ib0" else 3,
            "protocol_type": {"lo": 772, "ib0": 32, "wg0": 65534, "gre0": 778, "sit0": 776}.get(device, 1),
        }  # fmt: skip
    for name in ("iface_id", "iface_link", "name_assign_type", "protocol_type"):
        family = GaugeMetricFamily(f"node_network_{name}", f"Network device property: {name}", labels=("device",))
        for device, of_device in facts.items():
            family.add_metric((device,), of_device[name])
        yield family


def _disks(devices: Devices, uptime: float) -> Iterator[Metric]:
    for name, factor in (
        ("read_bytes", 1.0), ("written_bytes", 0.25), ("reads_completed", 1e-5), ("writes_completed", 2e-5),
    ):  # fmt: skip
        family = CounterMetricFamily(f"node_disk_{name}", "Disk statistic", labels=("device",))
        for device, rate in devices.disks.items():
            family.add_metric((device,), rate * factor * uptime)
        yield family


def _filesystems(devices: Devices) -> Iterator[Metric]:
    # One part in twenty only root may write.
    for name, share in (("size", 1.0), ("free", 0.6), ("avail", 0.55)):
        family = GaugeMetricFamily(f"node_filesystem_{name}_bytes", f"Filesystem {name} in bytes", labels=_MOUNT)
        for (device, fstype, mount), size in devices.mounts.items():
            family.add_metric((device, "", fstype, mount), size * share)
        yield family
