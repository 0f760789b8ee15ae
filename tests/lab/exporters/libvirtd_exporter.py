"""What libvirtd_exporter shows of the instances that run on a hypervisor, with its types as they are."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric

_LABELS = ("instance_name", "instance_type", "project_name", "user_name", "uuid")


@dataclass(frozen=True)
class Instance:
    """One instance of the lab's cloud: what it is, and what it does all the time."""

    uuid: str
    name: str
    project: str
    user: str
    hypervisor: str
    flavor: str = "p2-3gb"
    vcpus: int = 2
    cpu: float = 0.5
    memory_mib: int = 3072
    usable_mib: int | None = 1024
    network: float = 50_000.0
    disks: int = 1


# The last two are called alike, and one of them idles; a third has a driver that reports nothing, and a hostile name.
INSTANCES = (
    Instance("0d7c2f5e-6a38-4c31-9b7e-4b2d8f1f7a10", "web-1", "def-kim-dev", "amartin", "hv01", disks=2),
    Instance("1e8d3a6f-7b49-4d42-8c8f-5c3e9a2a8b21", "worker", "def-kim-dev", "btremblay", "hv02", "p4-6gb", 4, 0.9),
    Instance("2f9e4b7a-8c5a-4e53-9d9a-6d4fab3b9c32", "worker", "def-kim-dev", "amartin", "hv02", cpu=0.01, network=1.0),
    Instance(
        "3aaf5c8b-9d6b-4f64-8eab-7e5abc4cad43", 'it"s \\ 🦙', "rrg-lee", "clee", "hv01", "p1-1.5gb", 1, 0.25, 1536, None
    ),
)  # fmt: skip


HYPERVISORS = ("hv01", "hv02")


class Cloud:
    """The lab's hypervisors, which may be down, and instances that may be on their way to another one."""

    def __init__(self) -> None:
        self.down: frozenset[str] = frozenset()
        self.migrating: dict[str, str] = {}
        """By uuid the hypervisor that shows the instance as well."""
        self._born = time.time()

    def page(self, hypervisor: str) -> Iterator[Metric] | None:
        """Give a hypervisor's page; None while it is down."""
        if hypervisor in self.down:
            return None
        here = [each for each in INSTANCES if hypervisor in (each.hypervisor, self.migrating.get(each.uuid))]
        return libvirtd_exporter(here, time.time() - self._born)


def libvirtd_exporter(instances: Sequence[Instance], age: float) -> Iterator[Metric]:
    """Yield the page of a hypervisor; counters have grown for *age* seconds."""
    versions = {"driver": "QEMU", "driver_version": "7.2.22", "version": "9.0.0"}
    yield _family("libvirtd_info", "counter", [(versions, 1)])
    for name, kind, samples in _tables(instances, age):
        yield _family(f"libvirtd_domain_{name}", kind, samples)


_Samples = Sequence[tuple[dict[str, str], float]]


def _tables(instances: Sequence[Instance], age: float) -> Iterator[tuple[str, str, _Samples]]:
    yield "domain_state", "gauge", _each(instances, lambda _: 1)
    yield "domain_state_reason", "gauge", _each(instances, lambda _: 1)
    yield (
        "vcpu_time",
        "counter",
        [(_of(each, vcpu=str(vcpu)), each.cpu * age * 1e9) for each in instances for vcpu in range(each.vcpus)],
    )
    yield "vcpu_state", "gauge", [(_of(each, vcpu=str(vcpu)), 1) for each in instances for vcpu in range(each.vcpus)]
    for name, share in (("cpu_time", 1.0), ("cpu_user", 0.7), ("cpu_system", 0.3)):
        of_all = [(_of(each), each.cpu * each.vcpus * age * share * 1e9) for each in instances]
        yield name, "counter", of_all
    yield "balloon_current", "gauge", _each(instances, lambda each: each.memory_mib * 1024)
    yield "balloon_maximum", "gauge", _each(instances, lambda each: each.memory_mib * 1024)
    yield "balloon_rss", "gauge", _each(instances, lambda each: each.memory_mib * 512)
    reporting = [each for each in instances if each.usable_mib is not None]
    yield "balloon_usable", "gauge", _each(reporting, lambda each: (each.usable_mib or 0) * 1024)
    for name, factor in (("read_bytes", 2e6), ("write_bytes", 3e6), ("read_requests", 20.0), ("write_requests", 30.0)):
        yield (
            f"block_{name}",
            "counter",
            [
                (_of(each, device=str(device), path=""), factor * (device + 1) * age)
                for each in instances
                for device in range(each.disks)
            ],
        )
    for name, factor in (("rx_bytes", 1.0), ("tx_bytes", 0.5), ("rx_drop", 1e-4)):
        yield f"net_{name}", "counter", _taps(instances, factor * age)
    # Cumulative, whatever its type says.
    yield "net_tx_drop", "gauge", _taps(instances, 2e-4 * age)


def _taps(instances: Sequence[Instance], factor: float) -> _Samples:
    return [(_of(each, interface=f"tap{each.uuid[:11]}"), each.network * factor) for each in instances]


def _each(instances: Sequence[Instance], value: Callable[[Instance], float]) -> _Samples:
    return [(_of(each), value(each)) for each in instances]


def _of(instance: Instance, **labels: str) -> dict[str, str]:
    values = (instance.name, instance.flavor, instance.project, instance.user, instance.uuid)
    return dict(zip(_LABELS, values, strict=True)) | labels


def _family(name: str, kind: str, samples: _Samples) -> Metric:
    """Make a family whose counters have no suffix, as this exporter's: `unknown` writes names as they are."""
    family = Metric(name, name, "unknown" if kind == "counter" else kind)
    for labels, value in samples:
        family.add_sample(name, labels, value)
    return family
