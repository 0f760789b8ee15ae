"""Builders of the domain's data for tests: every one has sound defaults that a test changes by name."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import polars as pl

from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Association
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import OF_NODES, Use
from aggregator.model.storage import ENTRIES, FilesystemUsage
from aggregator.model.tres import Allocation
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.model.waste import Condition, Level, Rule
from tests.use import Gpu, gpus_frame, node_values

NOW = 1_800_000_000.0
GIB = 2**30
HOSTILE_NAMES = (
    'quo"te',
    "new\nline",
    "back\\slash",
    "{brace},x=}",
    "emoji\U0001f680",
    "é" * 127 + "x",
    "tab\tbell\x07cr\rdel\x7fnul\x00c1\x85",
    "\\n",
    'ends with\\"',
    "  blank ",
    "$1 #",
)


def make_allocation(**changes: Any) -> Allocation:
    return Allocation(**{"cpus": 8, "memory_bytes": 64 * GIB, "nodes": 1, **changes})


def make_run(**changes: Any) -> Run:
    """Make a run that has been running for an hour on node01."""
    defaults: dict[str, Any] = {
        "cluster": "narval", "run_id": 101, "job_id": 4711, "user": "alice", "account": "def-kim",
        "state": JobState.RUNNING, "submit": NOW - 7200, "partition": "cpu", "qos": "normal", "name": "train.sh",
        "eligible": NOW - 7200, "start": NOW - 3600, "time_limit_seconds": 7200.0, "allocated": make_allocation(),
        "nodes": ("node01",),
    }  # fmt: skip
    return Run(**{**defaults, **changes})


def make_use(**changes: Any) -> Use:
    """Make a fetch in which every input answered and showed nothing.

    Inputs are said by job id and node, `gpus` by job id; None is one that failed.
    """
    inputs: dict[str, Any] = {**{name: {} for name in OF_NODES if name != "sampled_at"}, "gpus": {}, **changes}
    values = {name: inputs.pop(name) for name in OF_NODES if name in inputs}
    gpus = inputs.pop("gpus")
    defaults: dict[str, Any] = {
        "time": NOW, "healthy_nodes": frozenset({"node01", "node02"}), "gpu_nodes": frozenset({"node01", "node02"}),
        "values": {name: node_values(found) for name, found in values.items() if found is not None},
        "gpus": None if gpus is None else gpus_frame(gpus),
    }  # fmt: skip
    return Use(**{**defaults, **inputs})


def make_gpu(**changes: Any) -> Gpu:
    return Gpu(**{"node": "node01", "index": "0", "utilization": 0.5, "memory_bytes": 10.0 * GIB, **changes})


def make_rule(**changes: Any) -> Rule:
    """Make a rule that holds for a run with at least one CPU."""
    level = Level("warning", (Condition("cpus_allocated", ">=", 1.0),))
    return Rule(**{"name": "holds", "resource": "cpu", "message": "It holds a CPU.", "levels": (level,), **changes})


def make_entry(**changes: Any) -> dict[str, Any]:
    """Make one group of ACCT_STAT: ten files of 1 MiB on disk only."""
    defaults: dict[str, Any] = {
        "user": "alice", "group": "def-kim", "type": "file", "hsm_state": "", "size_bytes": 10 * 2**20,
        "disk_bytes": 10 * 2**20, "inodes": 10, "size_bins": (0, 0, 0, 0, 0, 10, 0, 0, 0, 0),
    }  # fmt: skip
    return {**defaults, **changes}


def make_usage(*entries: Mapping[str, Any], **changes: Any) -> FilesystemUsage:
    frame = pl.DataFrame(entries, schema=ENTRIES)
    return FilesystemUsage(**{"filesystem": "project", "time": NOW, "entries": frame, "updated": NOW - 9, **changes})


def make_status(**changes: Any) -> SourceStatus:
    return SourceStatus(**{"source": "slurmacct", "scope": "narval", "up": True, "last_success": NOW, **changes})


def make_association(account: str = "def-kim", user: str = "", **changes: Any) -> Association:
    """Make an account's association below the root, or a user's."""
    parent = "" if user or account == "root" else "root"
    return Association(
        **{"id": crc32(f"{account} {user}".encode()), "account": account, "user": user, "parent": parent, **changes}
    )


def rich_cluster(names: tuple[str, ...] = ("alice", "bob"), cluster: str = "narval") -> ClusterView:
    """Make a view in which every family of a cluster has samples."""
    from tests.clusters import rich_frames

    return ClusterView(
        cluster=cluster, time=NOW, ledger_end=NOW - 90.0, prices=Prices(), frames=rich_frames(names, cluster),
    )  # fmt: skip
