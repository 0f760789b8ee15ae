"""Clusters for tests, joined as the service joins them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from aggregator.app.layouts import CLUSTERS
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.ledger.totals import no_totals
from aggregator.model.accounting import JobState, Run
from aggregator.model.alert import ALERT_COUNTS, AlertCounts
from aggregator.model.association import Associations, FairShareLevels
from aggregator.model.energy import Prices
from aggregator.model.job_gauges import JobGauges, NodesOfJobs
from aggregator.model.job_inputs import NODE_VALUES, Use, runs_of
from aggregator.model.ledger import (
    NODE_POWER,
    NODE_TOTALS,
    RUN_COSTS,
    RUN_POWER,
    RUN_TOTALS,
    USER_COSTS,
    USER_TOTALS,
    LedgerView,
    Power,
)
from aggregator.model.lustre import LustreUse
from aggregator.model.node_inputs import SAID_OF_NODES, Scheduler, by_state
from aggregator.model.readings import Frame
from aggregator.model.storage import Allocations, Award
from aggregator.model.usage import UsageSums
from aggregator.model.waste import Rule
from aggregator.parts.jobs.settings import JobSettings
from aggregator.parts.waste.rules import compile_rules
from aggregator.sources.prometheus.catalogue import JOB_GAUGES
from tests.accounts import make_left, make_levels, make_seconds
from tests.builders import NOW, make_allocation, make_association, make_gpu, make_rule, make_run, make_use
from tests.lustre import Sender, senders

Row = dict[str, Any]


def join_cluster(
    runs: Iterable[Run],
    use: Use | None = None,
    *more: object,
    rules: Sequence[Rule] = (),
    settings: JobSettings | None = None,
    at: float = NOW,
) -> Frames:
    """Join runs, their use, and what other inputs there are."""
    given = (runs_of(tuple(runs)), use, compile_rules(rules), settings, *more)
    joined = CLUSTERS.join(Inputs(*given), at)
    assert not joined.failed, joined.failed
    return joined.frames


# The columns of jobs that are the ledger's own under another name.
_RENAMED = {
    "ledger_since_timestamp_seconds": "since", "ledger_until_timestamp_seconds": "until",
    "ledger_gpu_seconds": "gpu_seconds",
    "ledger_gpu_used_seconds": "gpu_used_seconds", "energy_joules_total": "two_part_joules",
    "co2_grams_total": "co2_grams",
}  # fmt: skip


def make_totals(kind: Frame, rows: Iterable[Row]) -> pl.DataFrame:
    """Make a frame of the ledger; what is never null and is not said is 0."""
    zeros = {column.name: 0.0 for column in kind.columns if column.dtype == pl.Float64 and not column.null}
    return kind.of(pl.DataFrame([{**zeros, **row} for row in rows], schema=kind.schema))


def make_energy(*rows: Row, costs: Iterable[tuple[int, str, str, float]] = ()) -> LedgerView:
    """Make what the ledger has of runs, said as the columns of `jobs` or of RUN_TOTALS.

    By default it is of an hour with one GPU, half used and busy until now.
    """
    defaults = {"since": NOW - 3600, "until": NOW, "gpu_seconds": 3600.0, "gpu_used_seconds": 1800.0}
    runs = [{**defaults, **{_RENAMED.get(name, name): value for name, value in row.items()}} for row in rows]
    covered = [{"power_seconds": run.get("power_coverage_ratio", 0.0) * (run["until"] - run["since"]), **run}
               for run in runs]  # fmt: skip
    powered = [
        {**run, "two_part_watts": run.get("node_watts", 0.0), "coverage": 1.0}
        for run in runs
        if "node_watts" in run or "gpu_watts" in run
    ]
    amounts = [
        {"run_id": run_id, "currency": currency, f"{component}_cost": amount}
        for run_id, component, currency, amount in costs
    ]
    totals = replace(
        no_totals(NOW),
        runs=make_totals(RUN_TOTALS, covered),
        run_costs=make_totals(RUN_COSTS, amounts).group_by("run_id", "currency").agg(pl.all().drop_nulls().first()),
    )
    return LedgerView(Prices(), totals, Power(NOW, make_totals(RUN_POWER, powered), NODE_POWER.empty()))


def rich_frames(names: tuple[str, ...] = ("alice", "bob"), cluster: str = "narval") -> Frames:
    """Make frames in which every family has samples."""
    joined = CLUSTERS.join(Inputs(*rich_inputs(names, cluster)), NOW)
    assert not joined.failed, joined.failed
    return joined.frames


def rich_inputs(names: tuple[str, ...] = ("alice", "bob"), cluster: str = "narval") -> tuple[object, ...]:
    """Make inputs by which every family has samples: each name's job runs, one has ended, and one waits."""
    runs = [_rich_run(number, name) for number, name in enumerate(names)]
    ended = make_run(run_id=7, job_id=77, state=JobState.COMPLETED, end=NOW - 60.0)
    pending = make_run(
        run_id=8, job_id=78, state=JobState.PENDING, eligible=None, start=None, nodes=(), time_limit_seconds=None,
        allocated=make_allocation(cpus=0, memory_bytes=0, nodes=0), pending_tasks=100_000,
    )  # fmt: skip
    everything = [replace(run, cluster=cluster) for run in (*runs, ended, pending)]
    rules = (make_rule(), make_rule(name="other", resource="gpu"))
    settings = JobSettings(gpu_units={"a100": 4.0, "default": 1.5})
    told = [(run.user, run.account, reason, 3, NOW) for run in runs for reason in ("cpu_low", "")]
    alerts = AlertCounts("1", pl.DataFrame(told, schema=ALERT_COUNTS, orient="row"))
    more = (
        settings,
        _rich_gauges(runs),
        _rich_energy(runs),
        _rich_lustre(runs),
        _rich_scheduler(names),
        *_rich_accounts(names),
        alerts,
    )
    return (runs_of(everything), _rich_use(runs), compile_rules(rules), *more)


def _rich_run(number: int, name: str) -> Run:
    return make_run(
        run_id=2**63 + number, job_id=5000 + number, user=name, account=name, name=name, partition=name, qos=name,
        array_job_id=5000, array_task_id=number, allocated=make_allocation(nodes=2, gpus={"a100": 2, "": 1}),
        nodes=("node01", "node02"),
    )  # fmt: skip


def _rich_use(runs: Sequence[Run]) -> Use:
    def on_nodes(value: float) -> dict[int, dict[str, float]]:
        return {run.job_id: dict.fromkeys(run.nodes, value) for run in runs}

    gpus = [make_gpu(node="node01", utilization=1 / 3), make_gpu(node="node01", index="1", utilization=0.0),
            make_gpu(node="node02", utilization=1.0)]  # fmt: skip
    return make_use(
        cpus=on_nodes(3.625), cpu_seconds=on_nodes(1e-9), memory_bytes=on_nodes(2.0**62),
        memory_peak_bytes=on_nodes(2.0**34 + 2**20), threads=on_nodes(9.0),
        gpus={run.job_id: tuple(gpus) for run in runs},
    )  # fmt: skip


def _rich_gauges(runs: Sequence[Run]) -> JobGauges:
    """Make what exporters show of jobs beside their use."""
    shown = pl.DataFrame([(run.job_id, "node01", 0.125) for run in runs], schema=NODE_VALUES, orient="row")
    names = {gauge.name: gauge.over_nodes for each in JOB_GAUGES.values() for gauge in each}
    return JobGauges({name: NodesOfJobs(shown, NOW, over_nodes) for name, over_nodes in names.items()})


def _rich_energy(runs: Sequence[Run]) -> LedgerView:
    known = {
        "power_coverage_ratio": 1.0, "node_watts": 125.0, "gpu_watts": 300.5, "energy_joules_total": 1.5e9,
        "co2_grams_total": 12.5, "gpu_idle_seconds": 60.0,
    }  # fmt: skip
    costs = [
        (run.run_id, component, "CAD", amount)
        for run in runs
        for component, amount in {"electricity": 0.02, "hardware": 1e-7}.items()
    ]
    view = make_energy(*({"run_id": run.run_id, **known} for run in runs), costs=costs)
    owners = [{"user": run.user, "account": run.account} for run in runs]
    wasted = {"wasted_cpu_seconds": 7200.0, "wasted_gpu_seconds": 1e-9, "wasted_joules": 1.8e9}
    users = [{**owner, "until": NOW, "joules": 3.6e9, "co2_grams": 0.1, **wasted} for owner in owners]
    costs_of = {"electricity_cost": 2.5, "wasted_electricity_cost": 1.25, "hardware_cost": 0.0}
    of_users = [{**owner, "currency": "CAD", **costs_of} for owner in owners]
    node = {"until": NOW, "jobs_joules": 1e12, "unattributed_joules": 1.0, "power_seconds": 60.0, "meter": "redfish"}
    nodes = [{"node": run.user, **node, "jobs_watts": 1.5, "unattributed_watts": 2.0} for run in runs]
    totals = replace(
        view.totals, users=make_totals(USER_TOTALS, users), user_costs=make_totals(USER_COSTS, of_users),
        nodes=make_totals(NODE_TOTALS, nodes),
    )  # fmt: skip
    assert view.power
    return replace(view, totals=totals, power=replace(view.power, nodes=make_totals(NODE_POWER, nodes)))


def _rich_lustre(runs: Sequence[Run]) -> LustreUse:
    rates = {"read": 1.5e9, "write": 2.5e8, "metadata": 120.25}
    of_runs = {kind: {Sender("scratch", run.job_id): rate for run in runs} for kind, rate in rates.items()}
    of_runs["metadata"][Sender("scratch")] = 0.0
    found = {kind: senders(of_kind) for kind, of_kind in of_runs.items()}
    return LustreUse(time=NOW, rates=found, coverage={"scratch": 0.75})


def _rich_scheduler(names: Iterable[str]) -> Scheduler:
    nodes = [
        {"node": name, "state": "mixed", "flags": ["planned"], "features": f"ib,{name}", "cpus": 64.0} for name in names
    ]
    amounts = {"allocated": 16.0, "idle": 48.0, "total": 64.0}
    states = by_state(
        {"cpus": amounts, "gpus": {"idle": 2.0**33, "total": 2.0**33}, "nodes": {"mixed": 1.0},
         "jobs": {"pending": 0.0, "running": 2.0}}
    )  # fmt: skip
    return Scheduler(time=NOW, nodes=pl.DataFrame(nodes, schema=SAID_OF_NODES), states=states)


def _rich_accounts(names: Sequence[str]) -> tuple[Associations, FairShareLevels, Allocations, UsageSums]:
    """Make for each name an account with a user, limits that are used and others, an award, and usage."""
    rows = [make_association("root", limits={("MaxJobs", ""): 2.0**53})]
    for name in names:
        limits = {("GrpTRES", "gres/gpu"): 4.0, ("GrpTRESMins", "cpu"): 0.0}
        rows += [make_association(name, limits=limits), make_association(name, name, limits=limits)]
    associations = Associations.of(rows, organizations={name: name for name in names})
    billing = {"billing": 8.0}
    left = make_left(billing, {row.id: billing for row in rows}, dict.fromkeys(("root", *names), billing))
    awards = {name: Award(cpus=2.5e9, gpus=0.0) for name in names}
    used = {"cpu": 2.5e9, "mem": 2.0**72, "gres/gpu:a100": 0.0}
    of_accounts = [(name, tres, "30d", seconds) for name in names for tres, seconds in used.items()]
    usage = UsageSums(
        NOW - 3600.0,
        make_seconds(("account", "tres", "window"), of_accounts),
        make_seconds(("user", "account", "tres", "window"), [(name, *row) for row in of_accounts for name in row[:1]]),
        make_seconds(("tres", "state", "window"), [("cpu", "idle", "1d", 1e9), ("cpu", "over", "1d", 0.0)]),
        left,
    )
    return associations, make_levels(dict.fromkeys(names, 4 / 3)), Allocations(NOW, awards=awards), usage
