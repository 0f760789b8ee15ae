"""What runs in a cloud: instances and projects as libvirt's hypervisors show them, and which of them idle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRule:
    """When an instance idles: over `duration` seconds it used less than this of its vCPUs and of the network."""

    duration: float = 86_400.0
    cpu_ratio: float = 0.05
    network_bytes_per_second: float = 1000.0


# What an instance, or several, have and use now.
RATES: Final = (
    "vcpus", "used_cpus", "memory_bytes", "memory_used_bytes", "disk_read_bytes_per_second",
    "disk_write_bytes_per_second", "network_receive_bytes_per_second", "network_transmit_bytes_per_second",
)  # fmt: skip
# One row per running instance: who it is, what it uses now, and what it did over the rule's duration (did_*: null
# before that was looked at; did_coverage is the share of the duration in which it was seen).
INSTANCES: Final = schema(
    {
        **dict.fromkeys(("uuid", "instance_name", "project", "user", "flavor", "hypervisor"), pl.String),
        **dict.fromkeys((*RATES, "did_cpu_seconds", "did_network_bytes", "did_coverage"), pl.Float64),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudUse:
    """One fetch of a cloud's series: its instances (INSTANCES), each once, and which hypervisors answer.

    failed says of inputs that could not be read why, rejected counts the values that cannot be.
    """

    time: float
    instances: pl.DataFrame
    hypervisors: Mapping[str, bool] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
