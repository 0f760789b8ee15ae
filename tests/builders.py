"""Builders of the domain's data for tests: every one has sound defaults that a test changes by name."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import polars as pl

from aggregator.join.efficiency import FairShare
from aggregator.join.energy import LedgerView
from aggregator.model.accounting import Account, JobState, Run
from aggregator.model.association import Association, Fairshare, Limit, LimitsView, Standing
from aggregator.model.energy import Ledger, NodeTotals, Prices, RunLedger, Totals
from aggregator.model.lustre import JobLustre, LustreIo, LustreSums, LustreView
from aggregator.model.node import Held, NodeView, Scheduler, Told
from aggregator.model.storage import ENTRIES, Award, FilesystemUsage
from aggregator.model.tres import Allocation
from aggregator.model.usage import UsageSums, UsageView
from aggregator.model.use import Gpu, Use
from aggregator.model.view import (
    NO_USE,
    ClusterView,
    Efficiency,
    EnergySums,
    GpuUse,
    Job,
    JobEnergy,
    JobUse,
    NodeEnergy,
    SourceStatus,
    Sums,
)
from aggregator.model.waste import Condition, Finding, Judgement, Level, NotJudged, Rule

NOW = 1_800_000_000.0
GIB = 2**30
FAIR_SHARE = FairShare()
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
    """Make a fetch in which every input answered and showed nothing."""
    defaults: dict[str, Any] = {
        "time": NOW, "cpus": {}, "cpu_seconds": {}, "memory_bytes": {}, "memory_peak_bytes": {}, "threads": {},
        "gpus": {}, "healthy_nodes": frozenset({"node01", "node02"}),
        "gpu_nodes": frozenset({"node01", "node02"}),
    }  # fmt: skip
    return Use(**{**defaults, **changes})


def make_gpu(**changes: Any) -> Gpu:
    return Gpu(**{"node": "node01", "index": "0", "utilization": 0.5, "memory_bytes": 10.0 * GIB, **changes})


def make_job(run: Run | None = None, use: JobUse = NO_USE, efficiency: Efficiency | None = None, **changes: Any) -> Job:
    """Make a job whose run has these changes."""
    return Job(run or make_run(**changes), use, efficiency or Efficiency())


def make_rule(**changes: Any) -> Rule:
    """Make a rule that holds for a run with at least one CPU."""
    level = Level("warning", (Condition("cpus_allocated", ">=", 1.0),))
    return Rule(**{"name": "holds", "resource": "cpu", "message": "It holds a CPU.", "levels": (level,), **changes})


def make_finding(**changes: Any) -> Finding:
    rule = make_rule(**changes)
    return Finding(rule, rule.levels[0].severity, rule.levels[0].conditions[0], 8.0, 1.0)


def make_ledger(**changes: Any) -> RunLedger:
    """Make what the ledger has of an hour of `make_run` with one GPU, half used and busy until now."""
    return RunLedger(
        **{"since": NOW - 3600, "until": NOW, "gpu_seconds": 3600.0, "gpu_used_seconds": 1800.0, **changes}
    )


def make_ledger_view(runs: Mapping[int, RunLedger]) -> LedgerView:
    """Make a ledger of these runs, by run id, without prices."""
    return LedgerView(Prices(), Ledger(NOW, runs))


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


def rich_job(number: int, name: str, **changes: Any) -> Job:
    """Make a job of which every value is known."""
    run = make_run(
        run_id=2**63 + number, job_id=5000 + number, user=name, account=name, name=name, partition=name,
        qos=name, array_job_id=5000, array_task_id=number, end=None, requested=make_allocation(),
        allocated=make_allocation(nodes=2, gpus={"a100": 2, "": 1}), nodes=("node01", "node02"), **changes,
    )  # fmt: skip
    gpu = GpuUse(coverage=1.0, observed=3, busy=2, judged=3.0, utilization=1 / 3, memory_bytes=1e11)
    use = JobUse(
        cpus=7.25, cpu_seconds=1e-9, memory_bytes=2.0**62, memory_peak_bytes=2.0**64 + 2**20, threads=9.0,
        cpu_coverage=1.0, memory_coverage=0.5, gpu=gpu,
    )  # fmt: skip
    ledger = RunLedger(
        NOW - 600.0, NOW - 60.0, power_seconds=540.0, host_joules={"two_part": 1e9, "allocation": 2e9, "usage": 3e9},
        gpu_joules=5e8, gpu_seconds=1620.0, gpu_used_seconds=540.0, gpu_idle_seconds=60.0, co2_grams=12.5,
        cost={("electricity", "CAD"): 0.02, ("hardware", "CAD"): 1e-7},
    )  # fmt: skip
    energy = JobEnergy("two_part", 1.5e9, node_watts=125.0, gpu_watts=300.5)
    waste = Judgement((make_finding(), make_finding(name="other", resource="gpu")), (NotJudged("third", "unknown"),))
    efficiency = Efficiency(0.1, 0.2, 0.5, 0.75, 1e10, 2.0, 3e5, 0.25)
    return Job(run, use, efficiency, ledger, energy, waste, JobLustre({"scratch": RICH_IO}, 0.75))


def rich_sums(name: str, user: str = "") -> Sums:
    return Sums(
        account=name, user=user, jobs={"running": 2, "pending": 100_000}, allocated_cpus=16,
        allocated_memory_bytes=2**65, allocated_gpus={"a100": 2, "": 1}, used_cpus=7.25, used_memory_bytes=1.5,
        used_gpus=1.0, busy_gpus=2.0, memory_peak_bytes=3e9,
        wasted_cpus=5e-324, wasted_memory_bytes=1e300, wasted_gpus=0.0,
        wasted_cpu_seconds=1e9, wasted_gpu_seconds=0.5, waste_jobs={("holds", "warning"): 2, ("other", "critical"): 1},
        power_watts=425.5, coverage={"cpu": 1.0, "memory": 0.1, "gpu": 1 / 3},
    )  # fmt: skip


RICH_IO = LustreIo(1.5e9, 2.5e8, 120.25)
RICH_TOTALS = Totals(NOW, 3.6e9, 0.1, {("electricity", "CAD"): 2.5, ("hardware", "CAD"): 0.0})
RICH_NODE = NodeTotals(NOW, {"jobs": 1e12, "idle": 0.0, "unattributed": 1.0}, 60.0)


def make_association(account: str = "def-kim", user: str = "", **changes: Any) -> Association:
    """Make an account's association below the root, or a user's."""
    parent = "" if user or account == "root" else "root"
    return Association(
        **{"id": crc32(f"{account} {user}".encode()), "account": account, "user": user, "parent": parent, **changes}
    )


def rich_standing(account: str, user: str = "") -> Standing:
    """Make a standing with a limit that has a use and one that has none."""
    limits = (
        Limit(limit="GrpTRES", tres="gres/gpu", value=4.0, account=account, user=user, used=3.0),
        Limit(limit="MaxJobs", tres="", value=2.0**53, account="root"),
        Limit(limit="GrpTRESMins", tres="cpu", value=0.0, account=account, user=user),
    )
    fairshare = Fairshare(0.25, 4 / 3, "approximation")
    return Standing(account=account, user=user, shares=10, shares_ratio=1 / 3, fairshare=fairshare, limits=limits)


def rich_cluster(names: tuple[str, ...] = ("alice", "bob"), cluster: str = "narval") -> ClusterView:
    """Make a view in which every family of a cluster has samples."""
    jobs = tuple(rich_job(number, name, cluster=cluster) for number, name in enumerate(names))
    ended = make_job(cluster=cluster, run_id=7, job_id=77, state=JobState.COMPLETED, end=NOW - 60.0)
    pending = make_job(
        cluster=cluster, run_id=8, job_id=78, state=JobState.PENDING, eligible=None, start=None, nodes=(),
        time_limit_seconds=None, allocated=make_allocation(cpus=0, memory_bytes=0, nodes=0),
    )  # fmt: skip
    everything = (*jobs, ended, pending)
    return ClusterView(
        cluster=cluster, time=NOW, jobs=everything, series=everything,
        users=tuple(rich_sums(name, name) for name in names), accounts=tuple(rich_sums(name) for name in names),
        tree={name: Account(name, "root", name) for name in names},
        awards={name: Award(cpus=2.5e9, gpus=0.0) for name in names}, ledger_end=NOW - 90.0, prices=Prices(),
        energy_users=tuple(EnergySums(name, name, RICH_TOTALS) for name in names),
        energy_accounts=tuple(EnergySums(name, "", RICH_TOTALS) for name in names),
        nodes=tuple(
            NodeEnergy(name, RICH_NODE, {"jobs": 1.5, "idle": 0.0, "unattributed": 2.0}, "redfish") for name in names
        ),
        limits=LimitsView(
            {name: rich_standing(name) for name in names},
            {(name, name): (rich_standing(name, name),) for name in names},
        ),
        usage=rich_usage(names), lustre=rich_lustre(names), hosts=tuple(rich_host(name) for name in names),
        scheduler=rich_scheduler(),
    )  # fmt: skip


def rich_lustre(names: tuple[str, ...]) -> LustreView:
    return LustreView(
        NOW, {}, tuple(LustreSums(name, name, {"scratch": RICH_IO}) for name in names),
        tuple(LustreSums(name, "", {"scratch": RICH_IO}) for name in names),
        {"jobs": {"scratch": RICH_IO}, "unknown": {"scratch": LustreIo(metadata=0.0)}},
    )  # fmt: skip


def rich_scheduler() -> Scheduler:
    amounts = {"allocated": 16.0, "idle": 48.0, "total": 64.0}
    return Scheduler(
        time=NOW, cpus=amounts, gpus={"idle": 2.0**33, "total": 2.0**33}, node_counts={"mixed": 1.0},
        jobs={"pending": 0.0, "running": 2.0},
    )  # fmt: skip


def rich_host(name: str) -> NodeView:
    """Make a node of which everything is known."""
    return NodeView(
        name=name, told=Told(state="mixed", flags=("planned",), features=f"ib,{name}", cpus=64.0, cpus_allocated=16.0),
        held=Held(cpus=16.5, memory_bytes=2.0**65, gpus={"a100": 1.5, "": 0.5}, estimated=True), jobs=(5000, 5001, 77),
        unobserved=(5000, 5001), cause="exporter_blind", exporter_up=True, observed_gpus=2, used_gpus=0.5,
        measured={"load1": 3.5, "cpus": 64.0, "resting_cpus": 60.0},
    )  # fmt: skip


def rich_usage(names: tuple[str, ...]) -> UsageView:
    seconds = {("cpu", "30d"): 2.5e9, ("mem", "30d"): 2.0**72, ("gres/gpu:a100", "30d"): 0.0}
    return UsageView(
        NOW - 3600.0, tuple(UsageSums(name, "", seconds) for name in names),
        tuple(UsageSums(name, name, seconds) for name in names),
        {("cpu", "idle", "1d"): 1e9, ("cpu", "over", "1d"): 0.0},
    )  # fmt: skip
