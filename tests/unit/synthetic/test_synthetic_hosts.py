"""The demo's nodes: what slurmctld would say agrees with the jobs, and no host does more than it can."""

from aggregator.join.nodes import join_nodes
from aggregator.synthetic import (
    LOGIN_NODE,
    SyntheticAccounting,
    SyntheticCluster,
    SyntheticHosts,
    SyntheticScheduler,
    SyntheticUse,
)

START = 1_800_000_900.0
OUTAGE = START - START % 1800 + 1800 + 300


async def test_slurmctlds_word_the_jobs_and_the_hosts_agree() -> None:
    cluster = SyntheticCluster(start=START)
    accounting, use = await SyntheticAccounting(cluster).fetch(OUTAGE), await SyntheticUse(cluster).fetch(OUTAGE)
    scheduler, hosts = await SyntheticScheduler(cluster).fetch(OUTAGE), await SyntheticHosts(cluster).fetch(OUTAGE)
    nodes = join_nodes(accounting.runs, use, scheduler, hosts, listed=accounting.nodes, kinds={LOGIN_NODE: "login"})
    assert {node.name for node in nodes} == {*accounting.nodes, LOGIN_NODE}
    for node in nodes:
        if node.told is None:
            assert node.name == LOGIN_NODE
            continue
        assert node.held.cpus == node.told.cpus_allocated
        assert sum(node.held.gpus.values()) == node.told.gpus_allocated
        if node.told.state == "down":
            assert not node.measured
            assert not node.jobs
            continue
        assert node.measured["resting_cpus"] >= 0
        assert 0 <= node.measured["memory_available_bytes"] <= node.measured["memory_total_bytes"]
    assert any(node.unobserved for node in nodes), "now and then one node's exporter is down"
    assert scheduler.partitions["gpu"]["gpus_allocated"] == sum(sum(node.held.gpus.values()) for node in nodes)
