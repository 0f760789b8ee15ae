"""Joins the nodes of one cluster, and says what their rows say."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs, Layout
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import Use, runs_of
from aggregator.model.node import Kind
from aggregator.model.node_inputs import SAID_OF_NODES, Hosts, ListedNodes, Scheduler, by_host
from aggregator.parts import nodes
from aggregator.parts.nodes.settings import NodeSettings
from tests.builders import NOW

LAYOUT = Layout("cluster", (nodes.PART,))
Row = dict[str, Any]


def join(
    *runs: Run,
    use: Use | None = None,
    scheduler: Scheduler | None = None,
    hosts: Mapping[str, Mapping[str, float]] | None = None,
    listed: Iterable[str] = (),
    kinds: Mapping[str, Kind] | None = None,
) -> Frames:
    """Join these runs on their nodes; hosts are values by input and host."""
    inputs = Inputs(
        runs_of(runs),
        use,
        scheduler,
        Hosts(time=NOW, frame=by_host(hosts or {})),
        ListedNodes(tuple(listed)),
        NodeSettings(kinds or {}),
    )
    joined = LAYOUT.join(inputs, NOW)
    assert not joined.failed
    return joined.frames


def said(**of_nodes: Mapping[str, Any]) -> pl.DataFrame:
    """Make what slurmctld says of some nodes, by their names."""
    rows = [{"node": name, **values} for name, values in of_nodes.items()]
    return pl.DataFrame(rows, schema=SAID_OF_NODES, strict=False)


def by_name(*runs: Run, **known: Any) -> dict[str, Row]:
    """Give the rows of nodes by their names."""
    return {row["node"]: row for row in join(*runs, **known)["nodes"].iter_rows(named=True)}
