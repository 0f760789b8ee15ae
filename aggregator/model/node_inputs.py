"""What nodes are made of: what slurmctld says of them, and what their own exporters show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema

# What slurmctld says of each node, by an exporter; null is what that exporter does not show.
SAID_OF_NODES: Final = schema(
    {
        "node": pl.String,
        "state": pl.String,
        "flags": pl.List(pl.String),
        "features": pl.String,
        **dict.fromkeys(
            ("cpus", "cpus_allocated", "cpus_idle", "memory_bytes", "memory_allocated_bytes", "gpus", "gpus_allocated"),
            pl.Float64,
        ),
    }
)
# What slurmctld counts by state: CPUs and GPUs by `allocated`, `idle`, `other`, `total`; nodes and jobs by their own
# states, each node once where the states of nodes are known.
SAID_BY_STATE: Final = schema(
    {"state": pl.String, **dict.fromkeys(("cpus", "gpus", "nodes", "jobs"), pl.Float64)}
)  # fmt: skip
# What slurmctld says of each partition.
SAID_OF_PARTITIONS: Final = schema(
    {
        "partition": pl.String,
        **dict.fromkeys(("cpus", "cpus_allocated", "gpus", "gpus_allocated", "gpus_idle", "nodes"), pl.Float64),
    }
)
# What node_exporter shows of each host, by its inputs in base units.
HOSTS: Final = schema(
    {
        "node": pl.String,
        **dict.fromkeys(
            ("load1", "cpus", "resting_cpus", "memory_total_bytes", "memory_available_bytes", "scratch_bytes",
             "scratch_available_bytes"),
            pl.Float64,
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """One fetch of what slurmctld says through an exporter: SAID_OF_NODES, SAID_BY_STATE and SAID_OF_PARTITIONS.

    repairs say what was wrong and put right.
    """

    time: float
    nodes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SAID_OF_NODES))
    states: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SAID_BY_STATE))
    partitions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SAID_OF_PARTITIONS))
    repairs: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """One fetch of what node_exporter shows (HOSTS); null is what is not shown, and all of an input that failed."""

    time: float
    frame: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HOSTS))
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedNodes:
    """All nodes of the cluster, as slurmctld last told slurmdbd; none where that is not known."""

    names: tuple[str, ...] = ()


def by_state(numbers: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    """Put numbers by kind and state side by side: SAID_BY_STATE."""
    states = dict.fromkeys(state for of_kind in numbers.values() for state in of_kind)
    rows = [{"state": state, **{kind: of_kind.get(state) for kind, of_kind in numbers.items()}} for state in states]
    return pl.DataFrame(rows, schema=SAID_BY_STATE, strict=False)


def by_host(values: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    """Put values by input and host side by side: HOSTS."""
    hosts = dict.fromkeys(host for of_input in values.values() for host in of_input)
    rows = [{"node": host, **{name: of_input.get(host) for name, of_input in values.items()}} for host in hosts]
    return pl.DataFrame(rows, schema=HOSTS, strict=False)
