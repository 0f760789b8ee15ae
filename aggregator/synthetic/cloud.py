"""A synthetic cloud of two projects, as its hypervisors' libvirtd_exporters would show it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

import polars as pl

from aggregator.model.cloud import IdleRule
from aggregator.model.instances import INSTANCES, CloudUse
from aggregator.model.series import AvailableGraph, Line, Lines, Span, Subject
from aggregator.sources.prometheus.exporters.libvirtd_exporter import GRAPHS

if TYPE_CHECKING:
    from aggregator.synthetic.cluster import SyntheticCluster

INTERVAL_SECONDS: Final = 30.0
_GIB: Final = 2**30
_HYPERVISORS: Final = ("hv01", "hv02", "hv03")
# Flavour → vCPUs, memory in bytes.
_FLAVORS: Final = {"p2-3gb": (2, 3 * _GIB), "p4-6gb": (4, 6 * _GIB), "c16-60gb": (16, 60 * _GIB)}
_INSTANCES: Final = 24
_IDLE_SHARE: Final = 0.25
_HOUR: Final = 3600.0
# Graph → what it shows of an instance.
_GRAPHS: Final = {
    "cpu": "used_cpus", "vcpus": "vcpus", "memory": "memory_bytes", "memory_used": "memory_used_bytes",
}  # fmt: skip
# The others are sums of a project, or of the whole cloud.
_BY_INSTANCE: Final = frozenset({"cpu", "memory_used"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guest:
    """One instance, and the mean share of its CPUs that it uses."""

    uuid: str
    name: str
    project: str
    user: str
    flavor: str
    hypervisor: str
    vcpus: float
    memory_bytes: float
    busy: float
    reports_memory: bool

    def rates(self, at: float) -> Mapping[str, float | None]:
        """Give what it uses now: CPUs come and go with the hours of the day."""
        swing = 1 + 0.3 * math.sin(at / _HOUR + int(self.uuid[:2], 16))
        cpus = self.vcpus * min(1.0, self.busy * swing)
        return {
            "vcpus": self.vcpus, "used_cpus": cpus, "memory_bytes": self.memory_bytes,
            "memory_used_bytes": self.memory_bytes * (0.2 + self.busy / 2) if self.reports_memory else None,
            "disk_read_bytes_per_second": 2e5 * cpus, "disk_write_bytes_per_second": 5e5 * cpus,
            "network_receive_bytes_per_second": 3e5 * cpus, "network_transmit_bytes_per_second": 1e5 * cpus,
        }  # fmt: skip


class SyntheticCloud:
    """The instances of a synthetic cloud, of which a quarter idles, and their graphs."""

    name = "cloud"

    def __init__(self, cluster: "SyntheticCluster", rule: IdleRule) -> None:
        self._guests = tuple(_make_guests(cluster))
        self._rule = rule
        self.rows = len(self._guests)
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> CloudUse:
        """Compute what each instance uses at `at`, and what it did over the rule's duration."""
        rows = [self._at(guest, at) for guest in self._guests]
        hypervisors = dict.fromkeys(_HYPERVISORS, True)
        return CloudUse(time=at, instances=pl.DataFrame(rows, schema=INSTANCES), hypervisors=hypervisors)

    def _at(self, guest: _Guest, at: float) -> Mapping[str, str | float | None]:
        cpu_seconds = guest.busy * guest.vcpus * self._rule.duration
        return {
            "uuid": guest.uuid, "instance_name": guest.name, "project": guest.project, "user": guest.user,
            "flavor": guest.flavor, "hypervisor": guest.hypervisor, **guest.rates(at),
            "did_cpu_seconds": cpu_seconds, "did_network_bytes": 4e5 * cpu_seconds, "did_coverage": 1.0,
        }  # fmt: skip

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that the model knows of clouds, projects and instances."""
        return {
            graph.name: AvailableGraph(
                name=graph.name, help=graph.help, unit=graph.unit, exporter="libvirtd_exporter",
                interval=INTERVAL_SECONDS,
            )
            for graph in GRAPHS
            if graph.name in _GRAPHS and subject in graph.by
        }  # fmt: skip

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give those that it does not know: no exporter would help."""
        return {}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Compute the lines of a cloud, of a project's instances, or of one of them."""
        times = [span.start + index * span.step for index in range(span.points)]
        sums: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for guest in self._chosen(dict(subject.labels)):
            values = [value for at in times if (value := guest.rates(at)[_GRAPHS[name]]) is not None]
            # A driver that reports no memory never does.
            if values:
                labels = tuple(_labels(guest, kind, name).items())
                before = sums.get(labels, [0.0] * len(times))
                sums[labels] = [old + more for old, more in zip(before, values, strict=True)]
        return Lines(
            lines=tuple(Line(dict(labels), tuple(zip(times, values, strict=True))) for labels, values in sums.items())
        )

    def _chosen(self, wanted: Mapping[str, str]) -> Sequence[_Guest]:
        return [
            guest
            for guest in self._guests
            if wanted.get("project_name", guest.project) == guest.project
            and wanted.get("uuid", guest.uuid) == guest.uuid
        ]


def _labels(guest: _Guest, kind: str, name: str) -> Mapping[str, str]:
    """Give the labels of the line that an instance is part of: its own, its project's or the cloud's."""
    project = {"project_name": guest.project}
    if kind == "cloud":
        return project if name in _BY_INSTANCE else {}
    return {**project, "uuid": guest.uuid, "instance_name": guest.name} if name in _BY_INSTANCE else project


def _make_guests(cluster: "SyntheticCluster") -> Iterator[_Guest]:
    """Draw the instances of two of the cluster's groups; one in five has a driver that reports no memory."""
    rng = Random(f"{cluster.seed}/cloud")  # noqa: S311 - a reproducible model, not a secret
    projects = [f"{group}-cloud" for group in cluster.population.groups[:2]]
    users = cluster.population.users
    for number in range(_INSTANCES):
        flavor = rng.choice(tuple(_FLAVORS))
        vcpus, memory = _FLAVORS[flavor]
        uuid, name = f"{rng.getrandbits(128):032x}", f"{rng.choice(('web', 'db', 'worker'))}-{number}"
        yield _Guest(
            uuid=uuid, name=name, project=projects[number % 2], user=users[number % len(users)].name, flavor=flavor,
            hypervisor=_HYPERVISORS[number % len(_HYPERVISORS)], vcpus=float(vcpus), memory_bytes=float(memory),
            busy=rng.uniform(1e-5, 1e-3) if rng.random() < _IDLE_SHARE else rng.uniform(0.1, 0.7),
            reports_memory=number % 5 > 0,
        )  # fmt: skip
