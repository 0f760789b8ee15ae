"""What the configuration says of nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.model.node import Kind


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The hosts that are no compute nodes, by name."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
