"""Does a run waste what it holds, by rules that are data?

A condition holds only for a value that is known and observed well enough. What is not known makes no condition true,
so a rule can hold less for it, never more.
"""

import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter

from aggregator.join.facts import Facts, Observed
from aggregator.model.accounting import JobState, Run
from aggregator.model.view import Job
from aggregator.model.waste import (
    NO_JUDGEMENT,
    SEVERITIES,
    Condition,
    Exemption,
    Finding,
    Judgement,
    NotJudged,
    Rule,
    Severity,
)

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_Test = tuple[Condition, Callable[[float, float], bool]]


class Judge:
    """The rules of a configuration, prepared once, since every running job is judged at each refresh."""

    def __init__(self, rules: Iterable[Rule] = (), exemptions: Iterable[Exemption] = ()) -> None:
        exemptions = tuple(exemptions)
        prepared = tuple(_Prepared.of(rule, exemptions) for rule in _in_order(tuple(rules)))
        self.rules = tuple(each.rule.name for each in prepared)
        self._exempt = tuple(_Exempt.of(each) for each in exemptions if not each.rules)
        self._for_gpus = _Rules.of(prepared)
        self._without_gpus = _Rules.of(each for each in prepared if each.rule.resource != "gpu")

    def judge(self, job: Job, observed: Observed) -> Judgement:
        """Judge one run: at most one finding of each rule, and why a rule was not applied.

        A reason that stands for every rule is given once, without the rule's name. GPU rules are about GPU runs only.
        """
        rules = self._for_gpus if job.run.allocated.gpus else self._without_gpus
        if not rules.prepared:
            return NO_JUDGEMENT
        elapsed = job.run.elapsed(observed.at)
        why = _not_running(job.run) or _exemption(self._exempt, job.run) or _too_young(elapsed, rules.minimum_runtime)
        return _by_no_rule(why) if why else _apply(rules.prepared, Facts(job, observed), job.run, elapsed)


@dataclass(frozen=True, slots=True)
class _Rules:
    """Rules for one kind of run, and the runtime in seconds from which the first of them judges."""

    prepared: tuple["_Prepared", ...]
    minimum_runtime: float

    @classmethod
    def of(cls, prepared: Iterable["_Prepared"]) -> "_Rules":
        rules = tuple(prepared)
        return cls(rules, min((each.rule.minimum_runtime for each in rules), default=0.0))


@lru_cache(maxsize=1024)
def _by_no_rule(why: str) -> Judgement:
    """Half of a busy cluster waits, all for the same reason: one object serves them all."""
    return Judgement((), (NotJudged("", why),))


def _apply(prepared: Iterable["_Prepared"], facts: Facts, run: Run, elapsed: float) -> Judgement:
    """Apply rules in an order in which those that say the same better come first."""
    findings: list[Finding] = []
    not_judged: list[NotJudged] = []
    said: set[str] = set()
    unsure: dict[str, str] = {}
    for each in prepared:
        if why := each.why_not(run, elapsed):
            not_judged.append(NotJudged(each.rule.name, why))
            continue
        outcome = each.apply(facts)
        if isinstance(outcome, Finding):
            outcome = _once(outcome, said, unsure)
        if isinstance(outcome, str):
            unsure[each.rule.name] = outcome
            not_judged.append(NotJudged(each.rule.name, outcome))
        elif outcome:
            findings.append(outcome)
    return Judgement(tuple(findings), tuple(not_judged))


def _once(finding: Finding, said: set[str], unsure: Mapping[str, str]) -> Finding | str | None:
    """Drop a finding that another rule says better; give a reason when that one may hold and is not known to."""
    unless = finding.rule.unless
    if unless.isdisjoint(said):
        for other in sorted(unless & unsure.keys()):
            return f"{other} is not judged: {unsure[other]}"
    elif unless:
        said.add(finding.reason)
        return None
    said.add(finding.reason)
    return finding


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A rule with its comparisons and exemptions looked up; levels are the worst first."""

    rule: Rule
    common: tuple[_Test, ...]
    levels: tuple[tuple[Severity, tuple[_Test, ...]], ...]
    exempt: tuple["_Exempt", ...]

    @classmethod
    def of(cls, rule: Rule, exemptions: Iterable[Exemption]) -> "_Prepared":
        worst_first = sorted(rule.levels, key=lambda level: SEVERITIES.index(level.severity))
        named = (each for each in exemptions if rule.name in each.rules)
        return cls(
            rule,
            _tests(rule.conditions),
            tuple((level.severity, _tests(level.conditions)) for level in worst_first),
            tuple(_Exempt.of(each) for each in (*rule.exemptions, *named)),
        )

    def why_not(self, run: Run, elapsed: float) -> str:
        """Say why the rule is not about this run (yet), "" when it is."""
        return _exemption(self.exempt, run) or _too_young(elapsed, self.rule.minimum_runtime)

    def apply(self, facts: Facts) -> Finding | str | None:
        """Give the worst finding that is sure, what hinders to know, or None where the rule does not hold."""
        common = self._all(self.common, facts)
        if common is False:
            return None
        unknown = ""
        for severity, tests in self.levels:
            holds = self._all(tests, facts)
            if holds is True and common is True:
                condition = tests[0][0]
                fact = facts[condition.field]
                assert fact.value is not None
                return Finding(self.rule, severity, condition, fact.value, fact.coverage)
            if holds is not False:
                unknown = unknown or next(why for why in (common, holds) if isinstance(why, str))
        return unknown or None

    def _all(self, tests: tuple[_Test, ...], facts: Facts) -> bool | str:
        """Tell whether all conditions hold; where that is not known, say why. One that does not is enough for False."""
        unknown = ""
        for condition, compare in tests:
            fact = facts[condition.field]
            if fact.value is None or fact.coverage < self.rule.coverage:
                unknown = unknown or fact.missing or f"{condition.field} is not known"
            elif not compare(fact.value, condition.threshold):
                return False
        return unknown or True


@dataclass(frozen=True, slots=True)
class _Exempt:
    """An exemption whose patterns are compiled."""

    exemption: Exemption
    name: re.Pattern[str] | None

    @classmethod
    def of(cls, exemption: Exemption) -> "_Exempt":
        patterns = "|".join(fnmatch.translate(pattern) for pattern in exemption.job_names)
        return cls(exemption, re.compile(patterns) if patterns else None)

    def why(self, run: Run) -> str:
        """Name what of the run is exempt, "" when it is not."""
        exemption = self.exemption
        parts = []
        for what, of_run, names in (
            ("partition", run.partition, exemption.partitions),
            ("qos", run.qos, exemption.qos),
            ("account", run.account, exemption.accounts),
            ("user", run.user, exemption.users),
        ):
            if names and of_run not in names:
                return ""
            if names:
                parts.append(f"{what} {of_run}")
        if self.name and not self.name.match(run.name):
            return ""
        return ", ".join((*parts, f'job name "{run.name}"') if self.name else parts)


def _tests(conditions: Iterable[Condition]) -> tuple[_Test, ...]:
    return tuple((condition, _COMPARE[condition.operator]) for condition in conditions)


def _in_order(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Put a rule behind those in its `unless`; config/waste.py refuses circles."""
    by_name = {rule.name: rule for rule in rules}
    before = {rule.name: sorted(rule.unless & by_name.keys()) for rule in rules}
    return tuple(by_name[name] for name in TopologicalSorter(before).static_order())


def _not_running(run: Run) -> str:
    if run.state is JobState.RUNNING and run.is_open and run.start is not None:
        return ""
    if not run.is_open:
        return "it has ended"
    return "it has not started" if run.start is None else f"it is {run.state.name.lower()}"


def _too_young(elapsed: float, minimum: float) -> str:
    if elapsed >= minimum:
        return ""
    return f"it runs for {int(elapsed // 60)} min, judged from {minimum / 60:g} min"


def _exemption(exempt: Iterable[_Exempt], run: Run) -> str:
    for each in exempt:
        if why := each.why(run):
            return f"exempted: {why}"
    return ""
