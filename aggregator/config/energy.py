"""Declare what energy is shared by, and what it costs."""

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from aggregator.document.section import Section
from aggregator.document.types import (
    Amount,
    Count,
    Currency,
    Duration,
    Interval,
    Pue,
    Size,
    Text,
    must_be,
    parse_duration,
)
from aggregator.model.hostlist import HostlistError, expand_hostlist


class Co2(Section):
    """Say how much carbon a kilowatt-hour costs; zone names where the factor holds."""

    static_g_per_kwh: Amount | None = None
    zone: Text | None = None


class Tariff(Section):
    """Say what a kilowatt-hour costs, cooling as a share of it, and an hour of a CPU and of a GPU by its type."""

    currency: Currency | None = None
    per_kwh: Amount | None = None
    cooling_share: Amount | None = None
    cpu_hour: Amount | None = None
    gpu_hour: dict[Text, Amount] = Field(default_factory=dict)


def _read_hosts(value: object) -> tuple[str, ...]:
    try:
        hosts = expand_hostlist(value) if isinstance(value, str) else ()
    except HostlistError:
        hosts = ()
    if not hosts:
        raise must_be("a host list such as node[01-16]")
    return hosts


def _read_optional_hosts(value: object) -> tuple[str, ...]:
    return () if value == "" or value == () else _read_hosts(value)


Hostlist = Annotated[tuple[str, ...], PlainValidator(_read_hosts), PlainSerializer(list)]
OptionalHostlist = Annotated[tuple[str, ...], PlainValidator(_read_optional_hosts), PlainSerializer(list)]


class NodeClass(Section):
    """Say what is known of nodes that are alike; it wins over what exporters say."""

    nodes: Hostlist
    cpus: Count | None = None
    memory: Size | None = None
    gpus: Count | None = None
    idle_watts: Amount | None = None


class GpuClass(Section):
    """Say in how many units a GPU of one of Slurm's types counts, so that sums compare small and large ones."""

    units: Amount


class Energy(Section):
    """Choose how the power of a node is shared between its jobs, and what it costs."""

    model: Literal["two_part", "allocation", "usage"] = "two_part"
    window: Interval = parse_duration("60s")
    backfill: Duration = parse_duration("1d")
    pue: Pue = 1.0
    co2: Co2 = Co2()
    tariff: Tariff = Tariff()
    node_classes: dict[Text, NodeClass] = Field(default_factory=dict)
    gpu_classes: dict[Text, GpuClass] = Field(default_factory=dict)
