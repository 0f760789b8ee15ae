"""The demo's nodes: what slurmctld would say agrees with the jobs, and no host does more than it can."""

from collections import Counter

import polars as pl

from aggregator.engine.part import Inputs
from aggregator.model.job_inputs import runs_of
from aggregator.model.node_inputs import ListedNodes
from aggregator.parts.nodes.settings import NodeSettings
from aggregator.synthetic import (
    LOGIN_NODE,
    SyntheticAccounting,
    SyntheticCluster,
    SyntheticHosts,
    SyntheticScheduler,
    SyntheticUse,
)
from tests.unit.parts.nodes.site import LAYOUT

START = 1_800_000_900.0
OUTAGE = START - START % 1800 + 1800 + 300


async def test_slurmctlds_word_the_jobs_and_the_hosts_agree() -> None:
    cluster = SyntheticCluster(start=START)
    accounting, use = await SyntheticAccounting(cluster).fetch(OUTAGE), await SyntheticUse(cluster).fetch(OUTAGE)
    scheduler, hosts = await SyntheticScheduler(cluster).fetch(OUTAGE), await SyntheticHosts(cluster).fetch(OUTAGE)
    inputs = Inputs(
        runs_of(accounting.runs), use, scheduler, hosts, ListedNodes(accounting.nodes),
        NodeSettings({LOGIN_NODE: "login"}),
    )  # fmt: skip
    frames = LAYOUT.join(inputs, OUTAGE).frames
    nodes, gpus = frames["nodes"].to_dicts(), Counter[str]()
    for node, _, count in frames["node_gpus"].iter_rows():
        gpus[node] += count
    assert {node["node"] for node in nodes} == {*accounting.nodes, LOGIN_NODE}
    for node in nodes:
        if node["state"] is None:
            assert node["node"] == LOGIN_NODE
            continue
        assert node["allocated_cpus"] == node["slurmctld_allocated_cpus"]
        assert gpus[node["node"]] == node["slurmctld_allocated_gpus"]
        if node["state"] == "down":
            assert (node["load"], node["jobs"]) == (None, 0)
            continue
        assert 0 <= node["busy_cpus"] <= node["cpus"]
        assert 0 <= node["memory_used_bytes"] <= node["memory_bytes"]
    assert any(node["unobserved_jobs"] for node in nodes), "now and then one node's exporter is down"
    (of_gpus,) = scheduler.partitions.filter(pl.col("partition") == "gpu").to_dicts()
    assert of_gpus["gpus_allocated"] == sum(gpus.values())
