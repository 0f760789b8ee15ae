"""What the rules say of the runs that somebody asks about: findings, and "not judged, because …" in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aggregator.model.waste import (
    NO_JUDGEMENT,
    Condition,
    ConditionCompared,
    Finding,
    Judgement,
    NotJudged,
    Rule,
    RuleExplained,
)
from aggregator.parts.waste.exemption import describe
from aggregator.parts.waste.observation import Observation, Row
from aggregator.parts.waste.rules import Compiled, CompiledRule


def explain(run: Row, reasons: Row, compiled: Compiled, observation: Observation) -> Judgement:
    """Say how one run is judged: at most one finding of each rule, and why a rule was not applied.

    run is its row of `jobs`, reasons its row of those (rules.py: Waste). A reason that stands for every rule is given
    once, without the rule's name. GPU rules are about GPU runs only.
    """
    return _Words(compiled, observation).judgement({**run, **reasons})


def explain_all(jobs: pl.DataFrame, compiled: Compiled, observation: Observation) -> Mapping[int, Judgement]:
    """Say how runs (rows of `jobs`) are judged, by run id."""
    reasons = compiled.reasons(jobs, blind=observation.is_blind)
    pairs = zip(jobs.iter_rows(named=True), reasons.iter_rows(named=True), strict=True)
    return {run["run_id"]: explain(run, because, compiled, observation) for run, because in pairs}


def explain_rules(
    job: pl.DataFrame, compiled: Compiled, observation: Observation, judgement: Judgement | None = None
) -> tuple[RuleExplained, ...]:
    """Say how every rule was applied to one run, a frame of its row of `jobs`, by the expressions that judge it.

    judgement is what was said of the run where that is not the judgement of this row.
    """
    reasons = compiled.reasons(job, blind=observation.is_blind)
    run = {**job.row(0, named=True), **reasons.row(0, named=True)}
    words = _Words(compiled, observation)
    return words.of_rules(run, reasons, words.judgement(run) if judgement is None else judgement)


@dataclass(frozen=True, slots=True)
class _Words:
    """Put into words what the expressions have decided."""

    compiled: Compiled
    observation: Observation

    def judgement(self, run: Row) -> Judgement:
        rules = [each for each in self.compiled.rules if not _not_about(each, run)]
        if not rules:
            return NO_JUDGEMENT
        minimum = min(each.rule.minimum_runtime for each in rules)
        why = _not_running(run) or self._exempt(run, self.compiled.everywhere) or _too_young(run, minimum)
        if why:
            return Judgement((), (NotJudged("", why),))
        because: dict[str, str] = {}
        for each in rules:
            if why := self._why_not(each, run, because):
                because[each.rule.name] = why
        findings = (_finding(each, run) for each in rules if run[each.column])
        return Judgement(tuple(findings), tuple(NotJudged(name, why) for name, why in because.items()))

    def of_rules(self, run: Row, reasons: pl.DataFrame, judgement: Judgement) -> tuple[RuleExplained, ...]:
        severities = {finding.reason: finding.severity for finding in judgement.findings}
        because = {each.rule: each.because for each in judgement.not_judged}
        return tuple(
            RuleExplained(
                rule=each.rule,
                applies=run[f"applies_{each.rule.name}"],
                exemptions=tuple(dict.fromkeys(self._exemptions(run, each.exemptions))),
                common=self._compared(each, each.rule.conditions, run, reasons),
                levels={level.severity: self._compared(each, level.conditions, run, reasons) for level in each.levels},
                better={name: run[f"stands_{name}"] for name in each.better},
                severity=severities.get(each.rule.name),
                because=_not_about(each, run) or because.get("") or because.get(each.rule.name, ""),
            )
            for each in self.compiled.rules
        )

    def _compared(
        self, each: CompiledRule, conditions: Sequence[Condition], run: Row, reasons: pl.DataFrame
    ) -> tuple[ConditionCompared, ...]:
        holds = [reasons.select(told).item() for told in each.holds(conditions, self.compiled.known)]
        return tuple(
            ConditionCompared(
                condition, run[f"value_{condition.field}"], run[f"coverage_{condition.field}"], held,
                self._missing(condition.field, each.rule.coverage, run) if held is None else "",
            )
            for condition, held in zip(conditions, holds, strict=True)
        )  # fmt: skip

    def _exempt(self, run: Row, numbers: Sequence[int]) -> str:
        return next((f"exempted: {what}" for what in self._exemptions(run, numbers)), "")

    def _exemptions(self, run: Row, numbers: Sequence[int]) -> Iterator[str]:
        """Name what of a run is exempt, by each of some exemptions."""
        return (describe(self.compiled.exemptions[number], run) for number in numbers if run[f"exempt_{number}"])

    def _why_not(self, each: CompiledRule, run: Row, because: Mapping[str, str]) -> str:
        """Say why a rule is not about the run (yet), or why it is not known whether it holds; "" otherwise."""
        if why := self._exempt(run, each.exemptions) or _too_young(run, each.rule.minimum_runtime):
            return why
        if run[f"stands_{each.rule.name}"] is not None:
            return ""
        if why := self._unknown(each, run):
            return why
        for better in each.better:
            if run[f"stands_{better}"] is None:
                return f"{better} is not judged: {because[better]}"
        return "it is not known whether the rule is about it"

    def _unknown(self, each: CompiledRule, run: Row) -> str:
        """Say what is not known of the conditions; "" where they hold at one level."""
        name = each.rule.name
        levels = [run[f"level_{name}_{number}"] for number in range(len(each.levels))]
        if run[f"common_{name}"] is None:
            return self._first_unknown(each.rule.conditions, each.rule, run)
        return "" if True in levels else self._first_unknown(each.levels[levels.index(None)].conditions, each.rule, run)

    def _first_unknown(self, conditions: Iterable[Condition], rule: Rule, run: Row) -> str:
        return next(filter(None, (self._missing(condition.field, rule.coverage, run) for condition in conditions)))

    def _missing(self, field: str, least: float, run: Row) -> str:
        """Say why a field is not known well enough, "" where it is."""
        fact, coverage = self.compiled.known[field], run[f"coverage_{field}"]
        if run[f"value_{field}"] is None or coverage is None:
            return fact.missing(run, self.observation) or f"{field} is not known"
        if coverage >= least:
            return ""
        ratios = [run[f"share_{field}_{number}"] for number in range(len(fact.shares))]
        share = fact.shares[ratios.index(coverage)]
        return share.missing(coverage, run, self.observation)


def _finding(each: CompiledRule, run: Row) -> Finding:
    severity = run[each.column]
    condition = next(level.conditions[0] for level in each.levels if level.severity == severity)
    value, coverage = run[f"value_{condition.field}"], run[f"coverage_{condition.field}"]
    return Finding(each.rule, severity, condition, value, coverage)


def _not_about(each: CompiledRule, run: Row) -> str:
    return "it has no GPUs" if each.rule.resource == "gpu" and run["granted_gpus"] == 0 else ""


def _not_running(run: Row) -> str:
    if run["running"]:
        return ""
    if run["end_timestamp_seconds"] is not None:
        return "it has ended"
    return "it has not started" if run["start_timestamp_seconds"] is None else f"it is {run['state']}"


def _too_young(run: Row, minimum: float) -> str:
    elapsed = run["elapsed_seconds"] or 0.0
    return "" if elapsed >= minimum else f"it runs for {int(elapsed // 60)} min, judged from {minimum / 60:g} min"
