"""Rules of waste as data, and what judging one run by them gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Resource = Literal["cpu", "memory", "gpu"]
Severity = Literal["warning", "critical"]
Operator = Literal["<", "<=", ">", ">=", "==", "!="]
Unit = Literal["ratio", "seconds", "bytes", "cpus", "gpus", "nodes"]

# The worst first: a run has the worst severity of a rule that holds.
SEVERITIES: tuple[Severity, ...] = ("critical", "warning")


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity that a condition may compare: its unit and its meaning. join/facts.py computes it."""

    unit: Unit
    meaning: str


# Below this share of what should be seen of a job nothing of it is called wasted.
COVERAGE_FLOOR: Final = 0.8
# The vocabulary of the rules files. A field that is not known makes no condition true.
FIELDS: Mapping[str, Field] = {
    "elapsed_seconds": Field("seconds", "how long the run has run, suspensions apart"),
    "nodes": Field("nodes", "nodes that it runs on"),
    "cpus_allocated": Field("cpus", "CPUs that it holds"),
    "cpus_used_mean": Field("cpus", "CPU time used since its start ÷ elapsed time"),
    "cpu_used_ratio": Field("ratio", "CPU time used since its start ÷ CPU time held"),
    "cpu_wasted_seconds": Field("seconds", "CPU time held and not used since its start"),
    "cpus_above_gpu_share": Field(
        "cpus", "CPUs above GPUs × `waste.normal_cpus_per_gpu` × 1.1; every CPU of a run without GPUs"
    ),
    "memory_allocated_bytes": Field("bytes", "memory that it holds"),
    "memory_peak_ratio": Field("ratio", "peak memory ÷ memory held"),
    "memory_above_fair_share_bytes": Field(
        "bytes", "memory held above CPUs × `waste.normal_memory_per_cpu` × 1.1, with GPUs above theirs"
    ),
    "memory_wasted_bytes": Field("bytes", "memory held above both the fair share and the peak"),
    "gpus_allocated": Field("gpus", "GPUs that it holds"),
    "gpus_observed": Field("gpus", "GPUs that have a series now; 0 while no process has opened one"),
    "gpu_utilization_ratio": Field("ratio", "mean utilisation of its GPUs since its start"),
    "gpu_sm_occupancy_ratio": Field("ratio", "how full the SMs of its GPUs are now, where profiling shows it"),
    "gpu_idle_seconds": Field("seconds", "how long none of its GPUs has been busy"),
    "gpu_partly_idle_seconds": Field("seconds", "how long at least one of its GPUs has been idle at any time"),
    "gpu_wasted_seconds": Field("seconds", "GPU time held and not utilised, as far as it was observed"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """Compare a field with a threshold in the field's unit."""

    field: str
    operator: Operator
    threshold: float


@dataclass(frozen=True, slots=True)
class Level:
    """A severity, and the conditions that must all hold for it; the first one is what a finding shows."""

    severity: Severity
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Exemption:
    """Runs that are not judged: all parts that are not empty must match. job_names are shell patterns.

    rules names the rules that it is about; empty for all.
    """

    partitions: frozenset[str] = frozenset()
    qos: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    job_names: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of waste. `conditions` hold at every level; a finding of a rule named in `unless` says it already.

    minimum_runtime is in seconds; coverage is what must have been observed of each fact (0–1).
    """

    name: str
    resource: Resource
    message: str
    levels: tuple[Level, ...]
    conditions: tuple[Condition, ...] = ()
    minimum_runtime: float = 1800.0
    coverage: float = COVERAGE_FLOOR
    fix: str = ""
    documentation: str = ""
    unless: frozenset[str] = frozenset()
    exemptions: tuple[Exemption, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds at a severity, shown by the condition that decides it and its value."""

    rule: Rule
    severity: Severity
    condition: Condition
    value: float
    coverage: float

    @property
    def reason(self) -> str:
        """Name the rule, as labels do."""
        return self.rule.name


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A rule that was not applied to a run, and why: no finding of it means nothing."""

    rule: str
    because: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of one run: at most one finding of each."""

    findings: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()


NO_JUDGEMENT = Judgement()


@dataclass(frozen=True, slots=True)
class ConditionCompared:
    """One condition of a rule about one run; holds is None where it is not known, and unknown then says why."""

    condition: Condition
    value: float | None
    coverage: float | None
    holds: bool | None
    unknown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExplained:
    """How one rule was applied to one run.

    applies tells whether the rule is about the run. common are the conditions of every level, levels those of each
    severity, the worst first. better says of the rules that it gives way to whether they stand. exemptions name what of
    the run is exempt. because says why it is not judged, "" where it is; severity is None unless the rule holds.
    """

    rule: Rule
    applies: bool | None
    exemptions: tuple[str, ...]
    common: tuple[ConditionCompared, ...]
    levels: Mapping[Severity, tuple[ConditionCompared, ...]]
    better: Mapping[str, bool | None]
    severity: Severity | None
    because: str

    @property
    def result(self) -> str:
        """Give the severity, or say in words why there is none."""
        if self.severity or self.because:
            return self.severity or f"not judged, because {self.because}"
        holds = all(each.holds for each in self.common) and any(
            all(each.holds for each in conditions) for conditions in self.levels.values()
        )
        better = [name for name, stands in self.better.items() if stands] if holds and self.applies else []
        return f"does not count, because {better[0]} says the same" if better else "does not hold"
