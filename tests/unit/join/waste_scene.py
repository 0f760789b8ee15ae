"""One run as the sources show it, joined and judged: every test of waste changes what it is about."""

from collections.abc import Iterable
from typing import Any

from aggregator.config import active_rules, load_rules
from aggregator.join.cluster import join_cluster
from aggregator.join.waste import Judge
from aggregator.model.accounting import Accounting
from aggregator.model.energy import RunLedger
from aggregator.model.view import Job
from aggregator.model.waste import Exemption, Rule
from tests.builders import FAIR_SHARE, GIB, NOW, make_allocation, make_gpu, make_ledger_view, make_run, make_use

SHIPPED = active_rules(load_rules())
HOURS = 3600.0


def make_scene(
    *,
    cpus: int = 8,
    memory: float = 32 * GIB,
    gpus: int = 0,
    elapsed: float = 4 * HOURS,
    cpu: float = 1.0,
    peak: float = 1.0,
    utilization: Iterable[float] = (),
    mean: float | None = None,
    idle: float = 0.0,
    partly_idle: float = 0.0,
    observed: float = 1.0,
    in_ledger: bool = True,
    up: bool = True,
    rules: Iterable[Rule] = SHIPPED,
    exemptions: Iterable[Exemption] = (),
    use_changes: dict[str, Any] | None = None,
    ledger_changes: dict[str, Any] | None = None,
    **changes: Any,
) -> Job:
    """Make a run on node01 that uses `cpu` of its CPU time, `peak` of its memory and its GPUs as `utilization` says.

    `mean` is the utilisation since its start (default: as now), `observed` the share of GPU time that the ledger has.
    """
    allocated = make_allocation(cpus=cpus, memory_bytes=int(memory), gpus={"a100": gpus} if gpus else {})
    run = make_run(**{"start": NOW - elapsed, "allocated": allocated, **changes})
    now = tuple(utilization)
    samples: dict[str, Any] = {
        "cpu_seconds": {run.job_id: {"node01": cpu * cpus * elapsed}},
        "memory_peak_bytes": {run.job_id: {"node01": peak * memory}},
        "gpus": {
            run.job_id: tuple(make_gpu(index=str(index), utilization=ratio) for index, ratio in enumerate(now)),
            1: (make_gpu(node="node02"),),
        },
    }
    use = make_use(
        **{
            **(samples if up else {"gpus": {1: (make_gpu(node="node02"),)}, "healthy_nodes": frozenset({"node02"})}),
            **(use_changes or {}),
        }
    )
    seconds = observed * gpus * elapsed
    ledger = {
        "since": NOW - elapsed, "until": NOW, "gpu_seconds": seconds, "gpu_idle_seconds": idle,
        "gpu_used_seconds": seconds * (mean if mean is not None else sum(now) / max(1, gpus)),
        "gpu_partly_idle_seconds": partly_idle,
    }  # fmt: skip
    view = join_cluster(
        "narval", NOW, Accounting(NOW, (run,)), use, previous={}, fair_share=FAIR_SHARE, awards={},
        ledger=make_ledger_view({run.run_id: RunLedger(**{**ledger, **(ledger_changes or {})})} if in_ledger else {}),
        judge=Judge(rules, exemptions),
    )  # fmt: skip
    return view.jobs[0]


def found(job: Job) -> dict[str, str]:
    return {finding.reason: finding.severity for finding in job.waste.findings}


def reasons(job: Job) -> dict[str, str]:
    return {each.rule: each.because for each in job.waste.not_judged}
