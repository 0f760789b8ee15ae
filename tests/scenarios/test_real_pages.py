"""What the real programs print, in the words in which they print it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.scenarios.site import Site

CTL = {"instance": "ctl:8080", "job": "slurm"}


def told(site: Site, name: str, value: float, **labels: str) -> None:
    site.samples.add(name, value, **CTL, **labels)


def numbers(site: Site, what: str) -> dict[str, float]:
    return {dict(labels)["state"]: value for labels, value in site.samples_of(f"hpc_cluster_slurmctld_{what}").items()}


def test_rivosincs_pending_jobs_hold_no_cpus(site: Site) -> None:
    """v1.7.0; 300,003 CPUs are those of jobs that can never start."""
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    for account, state, cpus, jobs in (
        ("astro", "RUNNING", 6, 2), ("bio", "PENDING", 300_003, 6), ("bio", "RUNNING", 11, 2), ("gpu", "RUNNING", 6, 1),
    ):  # fmt: skip
        told(site, "slurm_account_job_state_cpu_alloc", cpus, account=account, state=state)
        told(site, "slurm_account_job_state_total", jobs, account=account, state=state)
    told(site, "slurm_cpus_idle", 329)
    told(site, "slurm_cpus_total", 352)
    for state, count in (("idle", 5), ("idle~", 1), ("mixed", 4)):
        told(site, "slurm_node_count_per_state", count, state=state)
    site.start(until=lambda: numbers(site, "cpus"))
    assert numbers(site, "cpus") == {"allocated": 23, "idle": 329}
    assert numbers(site, "jobs") == {"running": 5, "pending": 6}
    assert numbers(site, "nodes") == {"idle": 6, "mixed": 4}
    assert site.value("hpc_cluster_slurmctld_capacity", resource="cpus") == 352
    assert site.value("hpc_cluster_slurmctld_capacity", resource="gpus") is None
    lines = site.data("/series?metric=scheduler_cpus&start=now-2m&step=10")["result"]
    drawn = {line["metric"]["state"]: float(line["values"][-1][1]) for line in lines}
    assert drawn == {"allocated": 23, "idle": 329, "total": 352, "usable": 352}


def test_sckyzos_nodes_are_told_once_for_each_partition(site: Site) -> None:
    """v1.8: node08 is in two partitions; gpu01's GPUs are GRES of a type."""
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    for node, partition, cpus in (
        ("node07", "cpu", 32), ("node08", "cpu", 32), ("node08", "largemem", 32), ("gpu01", "gpu", 48),
    ):  # fmt: skip
        labels = {"node": node, "partition": partition, "status": "idle"}
        told(site, "slurm_node_status", 1, **labels)
        for what, value in (("cpu_total", cpus), ("cpu_idle", cpus), ("cpu_alloc", 0), ("cpu_other", 0)):
            told(site, f"slurm_node_{what}", value, **labels)
        if node == "gpu01":
            told(site, "slurm_node_gres_total", 4, gres_type="gpu:a100", **labels)
        told(site, "slurm_node_gres_used", 0, gres_type="gpu:a100" if node == "gpu01" else "gpu", **labels)
    for partition, idle in (("cpu", 2), ("largemem", 1), ("gpu", 1)):
        told(site, "slurm_nodes_idle", idle, partition=partition, active_feature_set="null")
        told(site, "slurm_partition_gpus_idle", 4.0 * (partition == "gpu"), partition=partition)
        told(site, "slurm_partition_gpus_allocated", 0, partition=partition)
    told(site, "slurm_queue_pending", 3, partition="cpu", user="carol", reason="JobHeldUser")
    told(site, "slurm_queue_pending", 3, partition="cpu", user="dave", reason="PartitionConfig")
    site.start(until=lambda: numbers(site, "nodes"))
    assert numbers(site, "nodes") == {"idle": 3}
    assert numbers(site, "cpus") == {"allocated": 0, "idle": 112}
    assert numbers(site, "jobs") == {"pending": 6}
    assert site.value("hpc_cluster_slurmctld_capacity", resource="gpus") == 4
    node = site.data("/nodes/gpu01")
    assert (node["cpus"], node["memory_bytes"], node["gpus"]) == (48, None, 4)
    partitions = {each["partition"]: each for each in site.data("/partitions")["partitions"]}
    said = {name: value for name, value in partitions["gpu"].items() if name.startswith("slurmctld_")}
    assert {name: value for name, value in said.items() if value is not None} == {
        "slurmctld_gpus_allocated": 0, "slurmctld_gpus_idle": 4,
    }  # fmt: skip


def test_oscs_features_that_are_none_and_gpus_that_it_cannot_read_are_not_shown(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "slurm_exporter")
    for node, features in (("node01", "(null)"), ("node02", "ib,skylake")):
        told(site, "slurm_node_features_info", 1, node=node, features=features)
        told(site, "slurm_node_state_info", 1, node=node, state="idle")
    for name, value in (("alloc", 0), ("idle", 4), ("total", 4)):
        told(site, f"slurm_gpus_{name}", value)
    told(site, "slurm_partition_gpus_total", 8, partition="gpu")
    site.start(until=lambda: numbers(site, "nodes"))
    features = {dict(labels)["node"]: dict(labels).get("features", "") for labels in site.samples_of("hpc_node_info")}
    assert features == {"node01": "", "node02": "ib,skylake"}
    assert [site.data(f"/nodes/{node}")["features"] for node in ("node01", "node02")] == [None, "ib,skylake"]
    assert numbers(site, "gpus") == {}
    assert site.value("hpc_cluster_slurmctld_capacity", resource="gpus") is None


# Device: its name_assign_type, whether it lies on another one, its protocol (1 is Ethernet, 65534 none).
CARDS: Mapping[str, tuple[int, bool, int]] = {
    "eth0": (1, False, 1), "enp1s0f0np0": (4, False, 1), "hsn0": (4, False, 1), "storage": (4, False, 1),
}  # fmt: skip
OTHERS: Mapping[str, tuple[int, bool, int]] = {
    "lo": (2, False, 772), "ib0": (4, False, 32), "bond0": (3, False, 1), "br0": (3, False, 1),
    "eth0.100": (3, True, 1), "vlan100": (3, True, 1), "ifb0": (1, False, 1), "wg0": (3, False, 65534),
    "ovs-system": (3, False, 1),
    "genev_sys_6081": (3, False, 1), "lxc12ab": (4, True, 1), "macvtap0": (3, True, 1), "kube-ipvs0": (3, False, 1),
    "cilium_host": (3, True, 1), "nodelocaldns": (3, False, 1), "gre0": (3, True, 778), "sit0": (3, True, 776),
    "en99": (4, True, 1), "guests": (3, False, 1),
}  # fmt: skip


@pytest.mark.parametrize("says", [True, False])
def test_devices_that_are_no_cards_are_not_drawn(site: Site, says: bool) -> None:
    """By /sys where the collector netclass shows it; else by names: a card with a name of the site's is left out."""
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.job(500)
    site.samples.host("node01", cpus=1)
    labels: dict[str, Any] = {"instance": "node01:9100", "job": "node"}
    for index, (device, (assigned, above, protocol)) in enumerate({**CARDS, **OTHERS}.items()):
        for way in ("receive", "transmit"):
            site.samples.add(f"node_network_{way}_bytes_total", lambda at: 1e9 + 1e6 * at, device=device, **labels)
        facts = {"name_assign_type": assigned, "protocol_type": protocol, "iface_id": index,
                 "iface_link": index - 1 if above else index}  # fmt: skip
        for name, value in facts.items() if says else ():
            site.samples.add(f"node_network_{name}", value, device=device, **labels)
    site.start(until=lambda: site.value("hpc_node_jobs", node="node01"))
    lines = site.data("/nodes/node01/series?metric=network&start=now-2m&step=10")["result"]
    drawn = {line["metric"]["device"] for line in lines}
    assert drawn == ({*CARDS} if says else {*CARDS, "en99"} - {"storage"})
    assert {line["metric"]["direction"] for line in lines} == {"receive", "transmit"}
    assert all(float(line["values"][-1][1]) == pytest.approx(1e6, rel=1e-3) for line in lines)
