"""States and names of nodes: whoever says them, and however, a node has one name and one state."""

from typing import Any

from tests.scenarios.site import Site

_EVENT = {
    "reason_uid": 0, "tres": "", "extra": "", "instance_id": "", "instance_type": "", "cluster_nodes": "", "time_end": 0
}  # fmt: skip


def event(site: Site, node: str, state: int, since: float = -400.0, **changes: Any) -> None:
    """Add an open row of slurmdbd's table of events."""
    row = {**_EVENT, "node_name": node, "state": state, "time_start": int(site.samples.zero + since), "reason": "DIMM"}
    site.insert(f"{site.cluster}_event_table", [{**row, **changes}])


def registered(site: Site, nodes: str) -> None:
    event(site, "", 0, since=-9000.0, cluster_nodes=nodes, reason="Cluster Registered TRES")


def states(site: Site, node: str) -> set[str]:
    return {dict(labels)["state"] for labels in site.samples_of("hpc_node_state", node=node)}


def series(site: Site, of: str, metric: str) -> Any:
    return site.data(f"{of}/series?metric={metric}&start=now-2m&step=10")["result"]


def node(site: Site, name: str) -> Any:
    return site.data(f"/nodes/{name}")


TOLD = {
    "mix|drain": ("draining", set()),
    "idle|drain": ("drained", set()),
    "idle|powered_down": ("idle", {"powered_down"}),
    "DOWN*+DRAIN": ("down", {"drain", "not_responding"}),
    "idle|": ("idle", set()),
    "MIXED$": ("mixed", {"maintenance"}),
    "idle": ("idle", set()),
}
BAD = ("down", "drained", "draining", "fail")


def test_no_node_loses_its_state(site: Site) -> None:
    """An exporter of the kind of vpenso's has it in the label `status` of a number."""
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    labels = {"instance": "ctl:8080", "job": "slurm"}
    for number, told in enumerate(TOLD):
        site.samples.add("slurm_node_cpu_total", 64, node=f"node0{number}", status=told, **labels)
    site.start(until=lambda: states(site, "node06"))
    for number, (state, flags) in enumerate(TOLD.values()):
        assert states(site, f"node0{number}") == {state, *flags}
    listed = {each["node"]: each["state"] for each in site.data("/nodes")["nodes"]}
    assert listed == {f"node0{number}": state for number, (state, _) in enumerate(TOLD.values())}


def test_the_timeline_of_bad_states_reads_every_notation(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    for number, told in enumerate(TOLD):
        labels = {"node": f"Node0{number}.cluster.example", "instance": "ctl:8080", "job": "slurm"}
        site.samples.add("slurm_node_state_info", 1, state=told, **labels)
    site.start(until=lambda: states(site, "node06"))
    for number, (state, _) in enumerate(TOLD.values()):
        lines = series(site, f"/nodes/node0{number}", "bad_state")
        now = {line["metric"]["state"]: float(line["values"][-1][1]) for line in lines}
        assert {line["metric"]["node"] for line in lines} == {f"node0{number}"}
        assert now == {each: float(each == state) for each in BAD}


def test_capitals_and_domains_make_no_other_node(site: Site) -> None:
    """NodeName has capitals and a domain, targets have none; and the other way round."""
    site.use_exporters("slurm_job_exporter", "slurm_exporter", "node_exporter")
    registered(site, "Node[01-02].cluster.example")
    event(site, "Node02.cluster.example", 0x202)
    site.job(500, nodelist="Node01.cluster.example")
    site.samples.exporter("node01")
    site.samples.job(500, busy=0.75)
    site.samples.host("NODE01.other.example", cpus=8)
    site.samples.add("slurm_node_state_info", 1, node="NODE01", state="mixed", instance="ctl:8080", job="slurm")
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500) and states(site, "node01"))
    listed = {each["node"]: each for each in site.data("/nodes")["nodes"]}
    assert listed.keys() == {"node01", "node02"}
    one, two = listed["node01"], listed["node02"]
    assert (one["jobs"], one["cpus"], one["exporter_up"], one["state"]) == (1, 8, True, "mixed")
    assert one["unobserved_jobs"] == 0
    assert (two["state"], two["reason"]) == ("drained", "DIMM")


def test_the_api_takes_every_form_of_a_nodes_name(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    registered(site, "node[01-02]")
    site.job(500)
    site.samples.exporter("node01")
    site.samples.job(500)
    site.samples.host("node01", cpus=8)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    for name in ("node01", "NODE01", "node01.cluster.example", "Node01-oob"):
        assert node(site, name)["node"] == "node01"
        assert [job["job_id"] for job in site.data(f"/nodes/{name}/jobs")["jobs"]] == [500]
        assert [each["node"] for each in site.data(f"/nodes?node={name}")["nodes"]] == ["node01"]
        assert [job["job_id"] for job in site.data(f"/jobs?node={name}")["jobs"]] == [500]
        assert [line["metric"]["node"] for line in series(site, f"/nodes/{name}", "node_cpus")] == ["node01"]
    assert len(series(site, "/nodes/NODE%5B01-02%5D", "node_cpus")) == 1
