"""Nodes: what slurmctld says of them, what their own exporters show, and how both look beside the jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["compute", "login", "transfer"]
# Why jobs on a node have no series from slurm-job-exporter.
Cause = Literal["exporter_down", "exporter_blind", "no_process", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What slurmctld says of one node, by an exporter; None and "" are what that exporter does not show."""

    state: str = ""
    flags: tuple[str, ...] = ()
    features: str = ""
    cpus: float | None = None
    cpus_allocated: float | None = None
    cpus_idle: float | None = None
    memory_bytes: float | None = None
    memory_allocated_bytes: float | None = None
    gpus: float | None = None
    gpus_allocated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """One fetch of what slurmctld says through an exporter; a number that is not shown is not in its mapping.

    cpus and gpus are by `allocated`, `idle`, `other`, `total`; node_counts and jobs by state, each node once where the
    states of nodes are known; partitions by name, then by `cpus`, `cpus_allocated`, `gpus`, `gpus_allocated`, `nodes`.
    repairs say what was wrong and put right.
    """

    time: float
    nodes: Mapping[str, Told] = field(default_factory=dict)
    cpus: Mapping[str, float] = field(default_factory=dict)
    gpus: Mapping[str, float] = field(default_factory=dict)
    node_counts: Mapping[str, float] = field(default_factory=dict)
    jobs: Mapping[str, float] = field(default_factory=dict)
    partitions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """One fetch of what node_exporter shows: input → host → value in base units. An input that failed is not there."""

    time: float
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What runs hold of a node, memory None where Slurm does not manage it.

    estimated: a run of several nodes is in it, spread over them (join/spread.py).
    """

    cpus: float = 0.0
    memory_bytes: float | None = 0.0
    gpus: Mapping[str, float] = field(default_factory=dict)
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node now. held adds up the parts of the runs on it, which are by run id.

    jobs are the ids of the runs on it, unobserved those of them without any series of it.

    observed_gpus counts the GPUs that have a series, used_gpus adds up their utilisation. exporter_up is None where it
    is not known which targets are slurm-job-exporters. measured is by input of node_exporter (base units).
    """

    name: str
    kind: Kind = "compute"
    told: Told | None = None
    held: Held = Held()
    parts: Mapping[int, Held] = field(default_factory=dict)
    jobs: tuple[int, ...] = ()
    unobserved: tuple[int, ...] | None = None
    cause: Cause | None = None
    exporter_up: bool | None = None
    observed_gpus: int | None = None
    used_gpus: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
