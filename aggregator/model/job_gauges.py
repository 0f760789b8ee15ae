"""What exporters show of jobs beside their use, one gauge each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from aggregator.model.question import ByInput

# How the values of a job's nodes are put together.
OverNodes = Literal["sum", "max", "mean"]


@dataclass(frozen=True, slots=True)
class NodesOfJobs:
    """What one gauge shows of jobs on their nodes (NODE_VALUES), from samples that are not older than `since`."""

    frame: pl.DataFrame
    since: float
    over_nodes: OverNodes

    def __len__(self) -> int:
        return self.frame.height


@dataclass(frozen=True, slots=True)
class JobGauges:
    """What exporters show of jobs beside their use, by the gauge's name; one that failed and is not kept is missing.

    failed names the gauges that could not be read, and rejected counts values that cannot be. questions are what was
    asked for the values.
    """

    values: Mapping[str, NodesOfJobs]
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    questions: ByInput = field(default_factory=dict)
