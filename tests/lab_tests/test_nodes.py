"""Nodes: the service's words against scontrol, sinfo and the exporters of the lab."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.exporters.slurm_exporter import BIG_NODE, SchedulerFault, SchedulerKind
from tests.lab.service import Service
from tests.lab.simulators import LOGIN, Fault
from tests.lab.slurm_config import CPUS_PER_NODE, NODES

pytestmark = pytest.mark.lab

API = "/api/v1/clusters/lab"


@pytest.fixture(autouse=True)
def faults(lab: Lab) -> Iterator[None]:
    yield
    lab.simulators.clear_faults()


def rows(service: Service) -> dict[str, Any]:
    return {row["node"]: row for row in service.data(f"{API}/nodes")["nodes"]}


def test_every_node_is_there_with_what_slurm_allocated_of_it(lab: Lab, service: Service) -> None:
    def agree() -> bool:
        found = rows(service)
        held: dict[str, float] = dict.fromkeys(NODES, 0.0)
        for job in lab.feed.jobs:
            total = sum(len(share.cpus) for share in job.nodes.values())
            for node in job.nodes:
                held[node] += total / len(job.nodes)
        shown = {node: row["allocated_cpus"] for node, row in found.items() if row["kind"] == "compute"}
        return shown == held and found.keys() == {*NODES, LOGIN}

    wait_until(agree, 60, "the nodes' allocations to be scontrol's")
    row = rows(service)[NODES[0]]
    assert (row["cpus"], row["state_source"]) == (CPUS_PER_NODE, "slurm-exporter")
    assert row["scratch_bytes"] > 0
    assert service.value("hpc_node_jobs", node=NODES[0]) == row["jobs"]


def test_a_job_without_a_process_is_told_apart_from_an_exporter_that_is_down(lab: Lab, service: Service) -> None:
    silent = lab.jobs["silent"]
    node = next(iter(next(job.nodes for job in lab.feed.jobs if job.job_id == silent)))

    def cause() -> Any:
        return rows(service)[node]["cause"]

    wait_until(lambda: cause() == "no_process", 60, "the job without a process to be missed")
    (run,) = (run for run in service.data(f"{API}/nodes/{node}")["running"] if run["job_id"] == silent)
    assert run["observed"] is False
    lab.simulators.set_fault(node, Fault.DOWN)
    wait_until(lambda: cause() == "exporter_down", 60, "the exporter to be known as down")
    assert service.value("hpc_node_exporter_up", node=node) == 0
    # What was scraped before is in the window of the rates for a while.
    unobserved = "hpc_node_unobserved_jobs"
    wait_until(lambda: (service.value(unobserved, node=node) or 0) > 1, 60, "none of its jobs to be seen")


def test_a_drained_node_has_a_reason_and_a_history(lab: Lab, service: Service) -> None:
    node = NODES[-1]
    lab.slurm.scontrol("update", f"NodeName={node}", "State=DRAIN", "Reason=bad DIMM")
    try:
        wait_until(lambda: rows(service)[node]["reason"] == "bad DIMM", 60, "the reason in slurmacct")
    finally:
        lab.slurm.scontrol("update", f"NodeName={node}", "State=RESUME")

    def ended() -> bool:
        events = service.data(f"{API}/nodes/{node}/events")["events"]
        return any(event["reason"] == "bad DIMM" and event["end_time"] for event in events)

    wait_until(ended, 60, "the event to end")


def test_what_is_known_to_be_wrong_is_put_right_and_said(lab: Lab, service: Service) -> None:
    """slurmctld's own endpoint in place of the branch osc: recognised, its wrapped sum and its mix-up corrected."""
    lab.simulators.scheduler = SchedulerKind.OWN_ENDPOINT
    lab.simulators.scheduler_faults = frozenset({SchedulerFault.WRAPPED, SchedulerFault.POWERING_DOWN})

    def said() -> str:
        _, body = service.get(f"{API}/partitions")
        return body.decode()

    wait_until(lambda: "counts in 16 bits" in said(), 60, "the wrap to be seen")
    assert "which are the nodes that power down" in said()
    assert BIG_NODE in rows(service)

    def last() -> float:
        data = service.data(f"{API}/series?metric=scheduler_cpus&start=now-10s&end=now&step=1s")
        (line,) = (line for line in data["result"] if line["metric"]["state"] == "allocated")
        return float(line["last"])

    wait_until(lambda: last() > 70_000, 60, "the graph to add up the nodes")


def test_the_zeros_of_a_failed_collector_are_no_values(lab: Lab, service: Service) -> None:
    lab.simulators.scheduler_faults = frozenset({SchedulerFault.COLLECT_ERROR})

    def rejected() -> bool:
        return any(
            re.fullmatch("collector cpus failed", dict(labels).get("reason", ""))
            for labels in service.samples("hpc_aggregator_rejected_values_total")
        )

    wait_until(rejected, 60, "the failure to be counted")
    data = service.data(f"{API}/series?metric=scheduler_cpus&start=now-2s&end=now&step=1s")
    last = {line["metric"]["state"]: line["last"] for line in data["result"]}
    assert 0.0 not in (last.get("total"), last.get("usable"))


def test_devices_are_shown_once_whatever_their_names(service: Service) -> None:
    """No bond, bridge, VLAN or dm device; nvme10n1 and sdaa are disks."""
    path = f"{API}/nodes/{NODES[-1]}/series?start=now-20s&end=now&step=1s"

    def devices(metric: str) -> set[str]:
        return {line["metric"]["device"] for line in service.data(f"{path}&metric={metric}")["result"]}

    wait_until(lambda: devices("network") == {"eth0", "eth1"}, 60, "the physical network devices alone")
    disks = {"sda", "sdaa", "nvme0n1", "nvme10n1"}
    wait_until(lambda: devices("disk") == devices("disk_operations") == disks, 60, "the whole disks alone")


def test_the_older_exporters_are_read_as_well(lab: Lab, service: Service) -> None:
    lab.simulators.scheduler = SchedulerKind.OLDER
    wait_until(lambda: rows(service)[NODES[0]]["slurmctld_allocated_cpus"] is not None, 60, "CPUs by node")
    assert rows(service)[NODES[0]]["cpus"] == CPUS_PER_NODE


@pytest.mark.parametrize("kind", [SchedulerKind.OSC, SchedulerKind.OLDER, SchedulerKind.RIVOSINC, SchedulerKind.SCKYZO])
def test_whichever_exporter_there_is_the_sums_are_those_of_slurm(
    lab: Lab, service: Service, kind: SchedulerKind
) -> None:
    """No pending job, no second partition and no copy is in them."""
    lab.simulators.scheduler = kind

    def sums(what: str) -> dict[str, float]:
        found = service.samples(f"hpc_cluster_slurmctld_{what}")
        return {dict(labels)["state"]: value for labels, value in found.items()}

    def agree() -> bool:
        held = sum(row["allocated_cpus"] or 0 for row in rows(service).values())
        return sums("cpus").get("allocated") == held and sum(sums("nodes").values()) == len(NODES)

    wait_until(agree, 60, "slurmacct and the exporter to agree")
    assert service.value("hpc_cluster_slurmctld_capacity", resource="cpus") == len(NODES) * CPUS_PER_NODE
