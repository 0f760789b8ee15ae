"""Nodes (C5, C12, and the login and transfer nodes of C15): of a job, of the staff's node page, of the public pages."""

from collections.abc import Mapping
from typing import Any

from tests.catalogue.entry import Entry

_OF_JOB = "clusters/lab/jobs/$JOB/series"
_OF_NODE = "clusters/lab/nodes/$NODE/series"
_OF_NODES = "clusters/lab/nodes/$HOSTS/series"
_OF_LOGIN = "clusters/lab/nodes/$LOGIN/series"
_NODE = {"node": "instance"}
_DEVICE = {**_NODE, "device": "device"}
_ETHERNET = 'rate(node_network_{}_bytes_total{{device!~"ib.*|lo", $HL=~"{}", $F}}[$window]) * 8 / (1000*1000)'
_INFINIBAND = 'rate(node_infiniband_port_data_{}_bytes_total{{$HL=~"{}", $F}}[$window]) * 8 / (1000*1000*1000)'
_DISK = 'rate(node_disk_{}_total{{$HL=~"{}", device=~"nvme.n.|sd.|vd.", $F}}[$window])'
_DISKS = {
    "disk_operations": {"read": "reads_completed", "write": "writes_completed"},
    "disk": {"read": "read_bytes", "write": "written_bytes"},
}
_PHYSICAL = (
    "Ours has physical devices only. The portal's also has bonds, bridges, VLANs and containers' ends, which show the "
    "same traffic once more. Neither has a device whose name begins with ib."
)
_DEVICES = (
    "Ours has whole disks of every name (sdaa, nvme10n1, xvda, mmcblk0); the portal's those with one letter or number "
    "(sda, vdb, nvme0n1). Neither has partitions, md and dm."
)
_MEGABITS, _GIGABITS, _BITS, _GB, _GIB = 1e6 / 8, 1e9 / 8, 1 / 8, 1e9, 2.0**30
_KINDS = {
    "PageTables": "page_tables", "SwapCached": "swap_cached", "Slab": "slab", "Cached": "cached", "Buffers": "buffers",
    "HardwareCorrupted": "hardware_corrupted",
}  # fmt: skip


def _devices(network: str, infiniband: str, disk: str, bandwidth: str, host: str, path: str) -> tuple[Entry, ...]:
    """Make the entries of a host's network and disks, which a job's page and a node's share."""
    ways = {"receive": ("receive", "received"), "transmit": ("transmit", "transmitted")}
    return (
        *(
            Entry(
                id=network, portal=_ETHERNET.format(plain, host), path=path, metric="network", labels=_DEVICE,
                only={"direction": way}, factor=_MEGABITS, note=_PHYSICAL,
            )
            for way, (plain, _) in ways.items()
        ),
        *(
            Entry(
                id=infiniband, portal=_INFINIBAND.format(past, host), path=path, metric="infiniband",
                labels={**_DEVICE, "port": "port"}, only={"direction": way}, factor=_GIGABITS,
            )
            for way, (_, past) in ways.items()
        ),
        *(
            Entry(
                id=disk if metric == "disk_operations" else bandwidth, portal=_DISK.format(said, host), path=path,
                metric=metric, labels=_DEVICE, only={"direction": way}, note=_DEVICES,
            )
            for metric, said_ways in _DISKS.items()
            for way, said in said_ways.items()
        ),
    )  # fmt: skip


def _memory(host: str, *fields: str) -> str:
    return " - ".join(f'node_memory_{field}_bytes{{$HL=~"{host}", $F}}' for field in fields)


_WITHOUT = ("MemTotal", "MemFree", "Buffers", "Cached", "Slab", "PageTables", "SwapCached")


def _states(data: Any) -> Mapping[tuple[str, ...], float]:
    return {(row["node"], row["state"]): 1.0 for row in data["nodes"] if row["state_source"] == "slurm-exporter"}


def _cores(data: Any) -> Mapping[tuple[str, ...], float]:
    return {(str(run["job_id"]),): run["on_node"]["cpus"] for run in data["jobs"] if run["state"] == "running"}


_NODE_PAGE = (
    Entry(
        id="ND1", portal="slurm_node_state_info{$F}", path="clusters/lab/nodes", metric="state",
        labels={"node": "node", "state": "state"}, read=_states,
    ),
    Entry(
        id="ND2", portal='count(node_cpu_seconds_total{$HL=~"($NODES)(:.*)", mode="idle", $F}) by ($HL)',
        path=_OF_NODES, metric="node_cpus", labels=_NODE,
    ),
    Entry(
        id="ND3", note="The portal counts iowait as busy, ours does not; it is 0 in the lab's nodes.",
        portal='sum(rate(node_cpu_seconds_total{$HL=~"($NODES)(:.*)", mode!="idle", $F}[$window])) by ($HL)',
        path=_OF_NODES, metric="node_busy_cpus", labels=_NODE,
    ),
    Entry(
        id="ND4", portal='max(node_memory_MemTotal_bytes{$HL=~"($NODES)(:.*)", $F}) by ($HL)', path=_OF_NODES,
        metric="node_memory", labels=_NODE, only={"kind": "total"},
    ),
    Entry(
        id="ND5", portal=f'max({_memory("($NODES)(:.*)", "MemTotal", "MemFree", "Buffers", "Cached")}) by ($HL)',
        path=_OF_NODES, metric="node_memory", labels=_NODE, only={"kind": "used"},
    ),
    Entry(
        id="ND6", portal='max(node_filesystem_size_bytes{$HL=~"($NODES)(:.*)", mountpoint="$SCRATCH", $F}) by ($HL)',
        path=_OF_NODES, metric="scratch_size", labels=_NODE,
    ),
    Entry(
        id="ND7",
        portal='max(node_filesystem_size_bytes{$HL=~"($NODES)(:.*)", mountpoint="$SCRATCH", $F}'
        ' - node_filesystem_free_bytes{$HL=~"($NODES)(:.*)", mountpoint="$SCRATCH", $F}) by ($HL)',
        path=_OF_NODES, metric="scratch", labels=_NODE,
        differs="blocks that only root may write are not free to a job: as in JD3 and ND13, avail is subtracted",
    ),
    Entry(
        id="ND8", portal='count(slurm_job_utilization_gpu{$HL=~"$NODE(:.*)", $F})', path="clusters/lab/nodes/$NODE",
        metric="observed_gpus", read=lambda data: {(): data["observed_gpus"]},
    ),
    Entry(
        id="ND9", portal='count(slurm_job_utilization_gpu{$HL=~"$NODE(:.*)", $F}) by (account, user, slurmjobid)',
        path="clusters/lab/nodes/$NODE/jobs", metric="on_node.gpus",
        differs="pitfall 23: a GPU that no process uses has no series; what a job holds is slurmacct's",
    ),
    Entry(
        id="ND10", portal='count(node_cpu_seconds_total{$HL=~"$NODE(:.*)", mode="idle", $F})', path=_OF_NODE,
        metric="node_cpus",
    ),
    Entry(
        id="ND11", portal='count(slurm_job_core_usage_total{$HL=~"$NODE(:.*)", $F}) by (account, user, slurmjobid)',
        path="clusters/lab/nodes/$NODE/jobs", metric="on_node.cpus", labels={"slurmjobid": "slurmjobid"}, read=_cores,
    ),
    *(
        Entry(
            id="ND12", portal=f'count(slurm_node_state_info{{node="$NODE", state=~"{state}", $F}}) or on() vector(0)',
            path=_OF_NODE, metric="bad_state", only={"state": state},
        )
        for state in ("down", "drained", "draining", "fail")
    ),
    Entry(
        id="ND13",
        portal='(node_filesystem_size_bytes{$HL=~"$NODE(:.*)", $F}'
        ' - node_filesystem_avail_bytes{$HL=~"$NODE(:.*)", $F}) / (1000*1000*1000)',
        path=_OF_NODE, metric="filesystems", labels={**_NODE, "mountpoint": "mountpoint"}, factor=_GB,
        note="The portal's has every mount that node_exporter shows; ours has none that is in memory (tmpfs, devtmpfs,"
        " ramfs) or a view of another (overlay, squashfs, autofs), and what is mounted twice at one place once.",
    ),
    Entry(
        id="ND14",
        portal='sum(rate(slurm_job_core_usage_total{$HL=~"$NODE(:.*)", $F}[$window]) / 1000000000)'
        " by (user, slurmjobid)",
        path=_OF_NODE, metric="cpu", labels={"slurmjobid": "slurmjobid"},
    ),
    Entry(
        id="ND15", portal='sum by (mode)(irate(node_cpu_seconds_total{mode!="idle", $HL=~"$NODE(:.*)", $F}[1m]))',
        path=_OF_NODE, metric="node_cpu", labels={"mode": "mode"},
        differs="irate is of the last two samples of a step, whatever was in between; ours is the rate over the step",
    ),
    Entry(
        id="ND16",
        portal='(sum(slurm_job_memory_usage{$HL=~"$NODE(:.*)", $F}) by (user, slurmjobid)) / (1024*1024*1024)',
        path=_OF_NODE, metric="memory", labels={"slurmjobid": "slurmjobid"}, only={"kind": "usage"}, factor=_GIB,
    ),
    Entry(
        id="ND17", portal=f'({_memory("$NODE(:.*)", *_WITHOUT)}) / (1024*1024*1024)', path=_OF_NODE,
        metric="node_memory", labels=_NODE, only={"kind": "application"}, factor=_GIB,
    ),
    *(
        Entry(
            id="ND18", portal=f'{_memory("$NODE(:.*)", field)} / (1024*1024*1024)', path=_OF_NODE,
            metric="node_memory", labels=_NODE, only={"kind": kind}, factor=_GIB,
        )
        for field, kind in _KINDS.items()
    ),
    Entry(
        id="ND19", portal=_memory("$NODE(:.*)", "MemTotal"), path=_OF_NODE, metric="node_memory", labels=_NODE,
        only={"kind": "total"},
    ),
    Entry(
        id="ND20", portal='count(node_cpu_seconds_total{$HL=~"$NODE(:.*)", mode="idle", $F}) by ($HL)', path=_OF_NODE,
        metric="node_cpus", labels=_NODE,
    ),
    *_devices("ND21", "ND22", "ND23", "ND24", "$NODE(:.*)", _OF_NODE),
    *(
        Entry(
            id="ND25", portal=f'slurm_job_{name}_gpu{{$HL=~"$NODE(:.*)", $F}}', path=_OF_NODE, metric=f"gpu_{name}",
            labels={"slurmjobid": "slurmjobid", "gpu": "gpu"}, factor=0.01,
        )
        for name in ("utilization", "sm_occupancy", "tensor", "fp64", "fp32", "fp16")
    ),
    Entry(
        id="ND26", portal='slurm_job_memory_usage_gpu{$HL=~"$NODE(:.*)", $F} / (1024*1024*1024)', path=_OF_NODE,
        metric="gpu_memory", labels={"slurmjobid": "slurmjobid", "gpu": "gpu"}, factor=_GIB,
    ),
    Entry(
        id="ND27", portal='slurm_job_power_gpu{$HL=~"$NODE(:.*)", $F} / 1000', path=_OF_NODE, metric="gpu_power",
        labels={"slurmjobid": "slurmjobid", "gpu": "gpu"},
    ),
)  # fmt: skip

_PUBLIC = (
    Entry(
        id="PG3", portal='count(node_cpu_seconds_total{mode="system", $HL=~"$LOGIN(:.*)?", $F})', path=_OF_LOGIN,
        metric="node_cpus",
    ),
    Entry(
        id="PG4",
        portal="sum by (mode)"
        '(rate(node_cpu_seconds_total{mode=~"system|user|iowait", $HL=~"$LOGIN(:.*)?", $F}[$window]))',
        path=_OF_LOGIN, metric="node_cpu", labels={"mode": "mode"}, only={"mode": "system|user|iowait"},
        note="Ours also has the other modes in which a CPU is not idle.",
    ),
    Entry(
        id="PG5", portal=_memory("$LOGIN(:.*)?", "MemTotal"), path=_OF_LOGIN, metric="node_memory", labels=_NODE,
        only={"kind": "total"},
    ),
    Entry(
        id="PG6", portal=_memory("$LOGIN(:.*)?", *_WITHOUT), path=_OF_LOGIN, metric="node_memory", labels=_NODE,
        only={"kind": "application"},
    ),
    Entry(
        id="PG7", portal='node_load1{$HL=~"$LOGIN(:.*)?", $F}', path=_OF_LOGIN, metric="load", labels=_NODE,
        only={"period": "1m"},
    ),
    *(
        Entry(
            id="PG8",
            portal=f'rate(node_network_{way}_bytes_total{{$HL=~"$LOGIN(:.*)?", device="$DEV", $F}}[$window]) * 8',
            path=_OF_LOGIN, metric="network", labels=_DEVICE, only={"direction": way, "device": "eth0"}, factor=_BITS,
            note="Ours has physical devices only: a bond has no line, its members have.",
        )
        for way in ("receive", "transmit")
    ),
)  # fmt: skip

ENTRIES = (
    *_devices("JN1", "JN2", "JD1", "JD2", "$INST", _OF_JOB),
    Entry(
        id="JD3",
        portal='(node_filesystem_size_bytes{$HL=~"$INST", mountpoint="$SCRATCH", $F}'
        ' - node_filesystem_avail_bytes{$HL=~"$INST", mountpoint="$SCRATCH", $F}) / (1000*1000*1000)',
        path=_OF_JOB, metric="scratch", labels=_NODE, factor=_GB,
    ),
    *_NODE_PAGE,
    *_PUBLIC,
)  # fmt: skip
