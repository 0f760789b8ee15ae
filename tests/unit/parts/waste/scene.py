"""One run as a row of the frame `jobs`, judged: every test of waste changes what it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from aggregator.config import active_rules, load_rules
from aggregator.model.waste import Condition, Exemption, Judgement, Level, Rule
from aggregator.parts.jobs.columns import JOBS
from aggregator.parts.jobs.efficiency import FairShare, wasted_gpu_seconds, with_efficiency
from aggregator.parts.waste.columns import WASTE
from aggregator.parts.waste.judge import explain_all
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import compile_rules
from tests.builders import GIB, NOW, make_rule

SHIPPED = active_rules(load_rules())
HOURS = 3600.0
_LEDGER = (
    "ledger_since_timestamp_seconds", "ledger_until_timestamp_seconds", "ledger_gpu_seconds",
    "ledger_gpu_used_seconds", "gpu_idle_seconds",
    "gpu_partly_idle_seconds", "gpu_unseen_seconds", "gpu_partly_unseen_seconds", "gpu_sm_occupancy_ratio",
    "gpu_sm_occupancy_ratio_coverage_ratio",
)  # fmt: skip
# The columns that slurmacct, the exporters and the ledger bring.
INPUTS = pl.Schema({**JOBS.schema, **dict.fromkeys(("job_start", *_LEDGER), pl.Float64())})
HEALTHY = Observation(healthy_nodes=frozenset({"node01", "node02"}), gpu_nodes=frozenset({"node01", "node02"}))
# Of such a run nothing is known but what slurmacct says.
RUN: Mapping[str, Any] = {
    "run_id": 101, "job_id": 4711, "user": "alice", "account": "def-kim", "partition": "cpu", "qos": "normal",
    "state": "running", "job_name": "train.sh", "nodes": ["node01"], "start_timestamp_seconds": NOW - HOURS,
    "elapsed_seconds": HOURS, "suspended_seconds": 0.0, "granted_cpus": 8, "granted_memory_bytes": 64 * GIB,
    "granted_nodes": 1, "granted_gpus": 0, "allocated_cpus": 8.0, "time_limit_seconds": 2 * HOURS, "is_owner": True,
}  # fmt: skip


def make_jobs(*changes: Mapping[str, Any]) -> pl.DataFrame:
    """Make the frame `jobs` of runs that have been running for an hour on node01, with these changes."""
    return with_computed(pl.DataFrame([{**RUN, **each} for each in changes], schema=INPUTS))


def with_computed(inputs: pl.DataFrame) -> pl.DataFrame:
    """Compute the columns that the rules need beside the inputs."""
    return with_efficiency(inputs, FairShare()).with_columns(wasted_gpu_seconds=wasted_gpu_seconds())


def judge_row(
    rules: Iterable[Rule] = SHIPPED, exemptions: Iterable[Exemption] = (), observation: Observation = HEALTHY,
    **changes: Any,
) -> Judgement:  # fmt: skip
    """Judge one run in words, and compare what the judge of whole frames says of it."""
    compiled, jobs = compile_rules(rules, exemptions), make_jobs(changes)
    (judgement,) = explain_all(jobs, compiled, observation).values()
    waste = compiled.judge(jobs, blind=observation.is_blind)
    severities = {each.reason: each.severity for each in judgement.findings}
    assert waste.columns.to_dict(as_series=False) == {
        f"waste_{each.rule.name}": [severities.get(each.rule.name)] for each in compiled.rules
    }
    assert waste.findings.schema == WASTE.schema
    assert waste.findings.drop("job_id", "user", "account", "is_owner").rows() == [
        (101, each.reason, each.severity, each.value, each.coverage) for each in judgement.findings
    ]
    return judgement


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
    observation: Observation = HEALTHY,
    **changes: Any,
) -> Judgement:
    """Judge a run on node01 that uses `cpu` of its CPU time, `peak` of its memory and its GPUs as `utilization` says.

    `mean` is the utilisation since its start (default: as now), `observed` the share of GPU time that the ledger has.
    """
    now, seconds = tuple(utilization), observed * gpus * elapsed
    run = {
        "start_timestamp_seconds": NOW - elapsed, "elapsed_seconds": elapsed, "granted_cpus": cpus,
        "granted_memory_bytes": int(memory), "granted_gpus": gpus,
    }  # fmt: skip
    seen = {
        "cpu_seconds": cpu * cpus * elapsed, "memory_peak_bytes": peak * memory, "observed_seconds": elapsed,
    }  # fmt: skip
    shown = {
        "gpu_coverage_ratio": 1.0, "gpus_observed": float(len(now)), "gpus_busy": float(sum(map(bool, now))),
        "gpus_judged": float(gpus), "gpu_utilization_ratio": sum(now) / max(1, gpus),
    }  # fmt: skip
    ledger = {
        "ledger_since_timestamp_seconds": NOW - elapsed, "ledger_until_timestamp_seconds": NOW,
        "ledger_gpu_seconds": seconds,
        "ledger_gpu_used_seconds": seconds * (mean if mean is not None else sum(now) / max(1, gpus)),
        "gpu_idle_seconds": idle, "gpu_partly_idle_seconds": partly_idle, "gpu_unseen_seconds": 0.0,
        "gpu_partly_unseen_seconds": 0.0,
    }  # fmt: skip
    if not up:
        observation = replace(observation, healthy_nodes=frozenset({"node02"}))
        seen, shown = {}, {"gpu_coverage_ratio": 0.0}
    row = {**run, **seen, **(shown if gpus else {}), **(ledger if in_ledger else {}), **changes}
    return judge_row(rules, exemptions, observation, **row)


def found(judgement: Judgement) -> dict[str, str]:
    return {finding.reason: finding.severity for finding in judgement.findings}


def reasons(judgement: Judgement) -> dict[str, str]:
    return {each.rule: each.because for each in judgement.not_judged}


def level(severity: Any, *conditions: tuple[str, Any, float]) -> Level:
    return Level(severity, tuple(Condition(*condition) for condition in conditions))


def rule(name: str, *conditions: tuple[str, Any, float], **changes: Any) -> Rule:
    return make_rule(name=name, levels=(level("warning", *conditions),), **changes)
