"""Rules of waste compiled to expressions over the columns of `jobs`, so that all runs are judged at once.

Null is "not known", and polars compares and combines by Kleene's logic: a condition that is known not to hold decides
alone, and what is not known, or not observed well enough, makes no rule hold.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from graphlib import TopologicalSorter
from typing import Final

import polars as pl

from aggregator.engine.frame import empty, frame_of
from aggregator.model.waste import SEVERITIES, Condition, Exemption, Level, Rule
from aggregator.parts.jobs.declare import OF_RUN
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.jobs.rows import shorten
from aggregator.parts.waste.columns import SEVERITY, WASTE, WASTE_RULES
from aggregator.parts.waste.exemption import exempts
from aggregator.parts.waste.facts import BLIND, Fact, facts

_COMPARE: Final[Mapping[str, Callable[[pl.Expr, float], pl.Expr]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_NORMAL: Final = FairShare()
# Started, not ended, and not suspended.
RUNNING: Final = (
    (pl.col("state") == "running")
    & pl.col("end_timestamp_seconds").is_null()
    & pl.col("start_timestamp_seconds").is_not_null()
)
# A Prometheus that refuses longer labels would refuse the whole page.
_WORDS_BYTES: Final = 200
_Expressions = tuple[pl.Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Waste:
    """How all runs are judged.

    columns has, row for row as the frame `jobs`, a column `waste_<rule>` for each rule: the severity, null where the
    rule does not hold or is not judged. findings (WASTE) has a row for each that holds, with the value and
    the coverage of the condition that decides it, rule by rule. reasons has, row for row, what judge.py puts in words.
    """

    columns: pl.DataFrame
    findings: pl.DataFrame
    reasons: pl.DataFrame


@dataclass(frozen=True)
class CompiledRule:
    """A rule with its levels, the worst first, the numbers of exemptions that are about it, and the better rules.

    Its columns are the severity, and what it rests on: `applies_` (the rule is about the run), `common_` (the
    conditions of every level hold), `level_` (those of one level), and `stands_` (it holds, or a better rule says it;
    null where that is not known).
    """

    rule: Rule
    levels: tuple[Level, ...]
    exemptions: tuple[int, ...]
    better: tuple[str, ...]

    @property
    def column(self) -> str:
        """Name the column of severities."""
        return f"waste_{self.rule.name}"

    def level(self, number: int) -> pl.Expr:
        """Tell whether the conditions of one level hold."""
        return pl.col(f"level_{self.rule.name}_{number}")

    def conditions(self, known: Mapping[str, Fact]) -> Iterator[pl.Expr]:
        """Give the columns that need no other rule."""
        name, rule = self.rule.name, self.rule
        about = [pl.col("running"), pl.col("elapsed_seconds") >= rule.minimum_runtime]
        about += [~pl.col(f"exempt_{number}") for number in self.exemptions]
        if rule.resource == "gpu":
            about.append(pl.col("granted_gpus") > 0)
        yield _all(about).alias(f"applies_{name}")
        yield _all(self.holds(rule.conditions, known)).alias(f"common_{name}")
        for number, level in enumerate(self.levels):
            yield _all(self.holds(level.conditions, known)).alias(f"level_{name}_{number}")

    def holds(self, conditions: Iterable[Condition], known: Mapping[str, Fact]) -> Iterator[pl.Expr]:
        """Tell of each condition whether it holds."""
        return (self._holds(condition, known[condition.field]) for condition in conditions)

    def stands(self) -> pl.Expr:
        """Tell whether the rule holds; not known where it is not known of a better one whether that stands."""
        name, better = self.rule.name, self._better()
        any_level = reduce(operator.or_, map(self.level, range(len(self.levels))))
        holds = pl.col(f"applies_{name}") & pl.col(f"common_{name}") & any_level
        return (holds & (better | ~better) if self.better else holds).alias(f"stands_{name}")

    def severity(self) -> pl.Expr:
        """Give the worst severity that is sure, where no better rule says it."""
        found = pl.col(f"stands_{self.rule.name}") & ~self._better()
        worst_first = (
            pl.when(found & self.level(number)).then(pl.lit(level.severity, dtype=SEVERITY))
            for number, level in enumerate(self.levels)
        )
        return pl.coalesce(worst_first).alias(self.column)

    @cached_property
    def finding(self) -> _Expressions:
        """Give the columns WASTE of a finding: what decides it is the first condition of the level that holds."""
        severity, reason = pl.col(self.column), pl.lit(self.rule.name)
        decides = [(severity == level.severity, level.conditions[0].field) for level in self.levels]
        value, coverage = (
            pl.coalesce(pl.when(here).then(pl.col(what + field)) for here, field in decides)
            for what in ("value_", "coverage_")
        )
        named = {"reason": reason, "severity": severity, "value": value, "coverage": coverage}
        return pl.col(OF_RUN), *(column.alias(name) for name, column in named.items())

    def _better(self) -> pl.Expr:
        return reduce(operator.or_, (pl.col(f"stands_{name}") for name in self.better), pl.lit(False))

    def _holds(self, condition: Condition, fact: Fact) -> pl.Expr:
        """Compare a field where enough of it was observed; elsewhere it is not known."""
        comparison = _COMPARE[condition.operator](pl.col(f"value_{condition.field}"), condition.threshold)
        if not fact.shares:
            return comparison
        return pl.when(pl.col(f"coverage_{condition.field}") >= self.rule.coverage).then(comparison)


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """Rules, the better ones first, and the expressions of all of them by stage: each needs the columns before it.

    exemptions are all, also those of one rule; everywhere has the numbers of those that are about all rules. known has
    the fields that the rules compare, needed the columns of `jobs` of which all is made.
    """

    rules: tuple[CompiledRule, ...]
    exemptions: tuple[Exemption, ...]
    everywhere: tuple[int, ...]
    known: Mapping[str, Fact]
    stages: tuple[_Expressions, ...]
    needed: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """Give the names of the rules."""
        return frozenset(each.rule.name for each in self.rules)

    def findings(self, jobs: pl.DataFrame, *, blind: bool) -> pl.DataFrame:
        """Give the findings of all rows of `jobs` (Waste); only those that run have any."""
        return self.judge(jobs.select(self.needed).filter(RUNNING), blind=blind).findings

    def words(self) -> pl.DataFrame:
        """Give what the rules tell people (WASTE_RULES), by their names."""
        rules = sorted((each.rule for each in self.rules), key=lambda rule: rule.name)
        texts = {name: [getattr(rule, name) or None for rule in rules] for name in ("message", "fix", "documentation")}
        return frame_of(WASTE_RULES, {
            "reason": [rule.name for rule in rules],
            "resource": [rule.resource for rule in rules],
            **{name: shorten(pl.Series(said, dtype=pl.String), _WORDS_BYTES) for name, said in texts.items()},
        })  # fmt: skip

    def judge(self, jobs: pl.DataFrame, *, blind: bool) -> Waste:
        """Judge every row of `jobs`; blind tells whether no exporter of the cluster can show any GPU."""
        reasons = self.reasons(jobs, blind=blind)
        columns = reasons.select(rule.column for rule in self.rules)
        held = [pl.col(rule.column).is_not_null() for rule in self.rules]
        judged = reasons.with_columns(jobs.select(OF_RUN)).filter(pl.any_horizontal(pl.lit(False), *held))
        found = (judged.filter(here).select(rule.finding) for here, rule in zip(held, self.rules, strict=True))
        return Waste(columns, pl.concat([empty(WASTE), *found]), reasons)

    def reasons(self, jobs: pl.DataFrame, *, blind: bool) -> pl.DataFrame:
        """Give what each row of `jobs` is judged by (Waste)."""
        # One expression after the other: who asks for one job would wait for Polars' threads.
        first, *others = self.stages
        frame = jobs.with_columns_seq(pl.lit(blind).alias(BLIND)).select_seq(first)
        for stage in others:
            frame = frame.with_columns_seq(stage)
        return frame


def compile_rules(
    rules: Iterable[Rule], exemptions: Iterable[Exemption] = (), fair_share: FairShare = _NORMAL
) -> Compiled:
    """Compile rules; raise CycleError where some give way to each other, which config/waste.py refuses."""
    by_name, general = {rule.name: rule for rule in rules}, tuple(exemptions)
    about = [(name, each) for name, rule in by_name.items() for each in rule.exemptions]
    about += [(name, each) for each in general for name in each.rules or by_name]
    numbered = tuple(dict.fromkeys(each for _, each in about))
    compared = {condition.field for rule in by_name.values() for condition in _conditions(rule)}
    known = {field: fact for field, fact in facts(fair_share).items() if field in compared}
    compiled = {
        name: CompiledRule(
            rule,
            tuple(sorted(rule.levels, key=lambda level: SEVERITIES.index(level.severity))),
            tuple(numbered.index(each) for whose, each in about if whose == name),
            tuple(sorted(rule.unless & by_name.keys())),
        )
        for name, rule in by_name.items()
    }
    steps = tuple(_steps(compiled))
    everywhere = tuple(number for number, each in enumerate(numbered) if each in general and not each.rules)
    in_order = tuple(rule for step in steps for rule in step)
    stages = _stages(steps, numbered, known)
    needed = frozenset(name for column in (*stages[0], RUNNING) for name in column.meta.root_names()) - {BLIND}
    return Compiled(in_order, numbered, everywhere, known, stages, needed | {*OF_RUN})


def _steps(compiled: Mapping[str, CompiledRule]) -> Iterator[tuple[CompiledRule, ...]]:
    """Put rules behind those that say the same better."""
    sorter = TopologicalSorter({name: rule.better for name, rule in compiled.items()})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield tuple(compiled[name] for name in ready)
        sorter.done(*ready)


def _stages(
    steps: tuple[tuple[CompiledRule, ...], ...], exemptions: tuple[Exemption, ...], known: Mapping[str, Fact]
) -> tuple[_Expressions, ...]:
    rules = [rule for step in steps for rule in step]
    inputs = (
        pl.col("elapsed_seconds"),
        pl.col("granted_gpus"),
        RUNNING.alias("running"),
        *(exempts(each).alias(f"exempt_{number}") for number, each in enumerate(exemptions)),
        *(column for field, fact in known.items() for column in fact.columns(field)),
    )
    return (
        inputs,
        tuple(fact.coverage(field) for field, fact in known.items()),
        tuple(column for rule in rules for column in rule.conditions(known)),
        *(tuple(rule.stands() for rule in step) for step in steps),
        tuple(rule.severity() for rule in rules),
    )


def _conditions(rule: Rule) -> Iterator[Condition]:
    yield from rule.conditions
    for level in rule.levels:
        yield from level.conditions


def _all(conditions: Iterable[pl.Expr]) -> pl.Expr:
    return reduce(operator.and_, conditions, pl.lit(True))
