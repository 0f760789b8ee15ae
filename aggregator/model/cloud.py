"""What runs in a cloud: instances and projects as libvirt's hypervisors show them, and which of them idle."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRule:
    """When an instance idles: over `duration` seconds it used less than this of its vCPUs and of the network."""

    duration: float = 86_400.0
    cpu_ratio: float = 0.05
    network_bytes_per_second: float = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What an instance did over the rule's duration; None where nothing is known. coverage is the time seen, 0–1."""

    cpu_seconds: float | None = None
    network_bytes: float | None = None
    coverage: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """Whether an instance idles; None is not judged, for the reason given. The means are over the rule's duration."""

    idle: bool | None = None
    because: str = ""
    cpu_ratio: float | None = None
    network_bytes_per_second: float | None = None
    coverage: float = 0.0


NOT_LOOKED = Idleness(because="what it did lately has not been read yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is used now, of one instance or of several; None where nothing is known."""

    vcpus: float | None = None
    used_cpus: float | None = None
    memory_bytes: float | None = None
    memory_used_bytes: float | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running instance."""

    uuid: str
    name: str = ""
    project: str = ""
    user: str = ""
    flavor: str = ""
    hypervisor: str = ""
    rates: Rates = Rates()
    activity: Activity | None = None
    idleness: Idleness = NOT_LOOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudUse:
    """One fetch of a cloud's series: its instances, each once, and which hypervisors answer.

    failed says of inputs that could not be read why, rejected counts the values that cannot be.
    """

    time: float
    instances: tuple[Instance, ...] = ()
    hypervisors: Mapping[str, bool] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSums:
    """The instances of a project added up: idle ones, and those that were judged at all.

    A sum is None when it is known of no instance; memory_coverage is the share of the memory of whose use is known.
    """

    project: str
    instances: int = 0
    judged: int = 0
    idle: int = 0
    idle_vcpus: float | None = None
    idle_memory_bytes: float | None = None
    memory_coverage: float | None = None
    rates: Rates = Rates()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudView:
    """One cloud at one time: instances by project and uuid, projects by name, and the users who may see a project."""

    cloud: str
    time: float
    instances: tuple[Instance, ...] = ()
    projects: tuple[ProjectSums, ...] = ()
    hypervisors: Mapping[str, bool] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rule: IdleRule = IdleRule()
