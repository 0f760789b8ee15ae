"""What runs in a cloud, as libvirt's hypervisors show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.model.cloud import RATES

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
