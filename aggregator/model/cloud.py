"""When an instance of a cloud idles, and what is known of one."""

from dataclasses import dataclass
from typing import Final

# What an instance, or several, have and use now.
RATES: Final = (
    "vcpus", "used_cpus", "memory_bytes", "memory_used_bytes", "disk_read_bytes_per_second",
    "disk_write_bytes_per_second", "network_receive_bytes_per_second", "network_transmit_bytes_per_second",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRule:
    """When an instance idles: over `duration` seconds it used less than this of its vCPUs and of the network."""

    duration: float = 86_400.0
    cpu_ratio: float = 0.05
    network_bytes_per_second: float = 1000.0
