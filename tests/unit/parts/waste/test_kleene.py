"""What is not known never accuses: the truth tables of the rules, and nulls anywhere."""

from itertools import product
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.waste import Condition, Level, Rule
from aggregator.parts.jobs.declare import OF_RUN
from aggregator.parts.jobs.efficiency import EFFICIENCY
from aggregator.parts.waste.judge import explain_all
from aggregator.parts.waste.rules import compile_rules
from tests.builders import make_rule

from .random_rules import random_rules
from .runs import random_jobs, random_observation
from .scene import HEALTHY, INPUTS, make_jobs, with_computed

TRUTH = (True, False, None)
# What each value of these columns makes of the condition that the field is at least 1.
COLUMNS = {
    "nodes": "granted_nodes", "cpus_allocated": "granted_cpus", "memory_allocated_bytes": "granted_memory_bytes",
    "gpus_observed": "gpus_observed",
}  # fmt: skip
VALUES = {True: 2, False: 0, None: None}
BETTER, COMMON, CRITICAL, WARNING = (Condition(field, ">=", 1.0) for field in COLUMNS)


def both(one: bool | None, other: bool | None) -> bool | None:
    """Kleene's and: what is known not to hold decides alone."""
    return False if False in (one, other) else None if None in (one, other) else True


def either(one: bool | None, other: bool | None) -> bool | None:
    return True if True in (one, other) else None if None in (one, other) else False


def table() -> list[tuple[bool | None, ...]]:
    return list(product(TRUTH, repeat=4))


def runs_of_table() -> pl.DataFrame:
    rows = [dict(zip(COLUMNS.values(), map(VALUES.get, truth), strict=True)) for truth in table()]
    return make_jobs(*({**row, "gpu_coverage_ratio": 1.0, "run_id": number} for number, row in enumerate(rows)))


def expected(better: bool | None, common: bool | None, critical: bool | None, warning: bool | None) -> str | None:
    """Tell the severity of a rule that gives way to a better one; "unknown" where it may hold or not."""
    holds = both(common, either(critical, warning))
    if holds and better is False:
        return "critical" if critical else "warning"
    return "unknown" if holds is None or (holds and better is None) else None


RULES = (
    make_rule(name="worse", conditions=(COMMON,), unless=frozenset({"better"}),
              levels=(Level("warning", (WARNING,)), Level("critical", (CRITICAL,)))),
    make_rule(name="better", levels=(Level("warning", (BETTER,)),)),
)  # fmt: skip


def test_levels_conditions_and_better_rules_combine_by_kleenes_logic() -> None:
    jobs, compiled = runs_of_table(), compile_rules(RULES)
    columns = compiled.judge(jobs, blind=False).columns
    want = [expected(*truth) for truth in table()]
    assert columns["waste_worse"].to_list() == [None if each == "unknown" else each for each in want]
    assert columns["waste_better"].to_list() == ["warning" if truth[0] else None for truth in table()]
    judgements = explain_all(jobs, compiled, HEALTHY).values()
    not_judged = [{each.rule for each in judgement.not_judged} for judgement in judgements]
    assert ["worse" in names for names in not_judged] == [each == "unknown" for each in want]
    assert ["better" in names for names in not_judged] == [truth[0] is None for truth in table()]


@pytest.mark.parametrize("chain", [3, 40])
def test_what_a_rule_says_for_another_counts_for_a_third(chain: int) -> None:
    """A rule that gives way has been said all the same; and a long chain costs no more than its length."""
    names = [f"r{number}" for number in range(chain)]
    rules = [
        make_rule(name=name, levels=(Level("warning", (BETTER,)),), unless=frozenset(names[:number]))
        for number, name in enumerate(names)
    ]
    jobs = make_jobs(*({"granted_nodes": value} for value in VALUES.values()))
    columns = compile_rules(rules[::-1]).judge(jobs, blind=False).columns
    assert columns["waste_r0"].to_list() == ["warning", None, None]
    assert all(columns[f"waste_{name}"].null_count() == len(VALUES) for name in names[1:])


@pytest.mark.parametrize(("coverage", "severity"), [(0.79, None), (0.8, "warning"), (1.0, "warning"), (None, None)])
def test_a_value_is_known_from_the_rules_coverage_on(coverage: float | None, severity: str | None) -> None:
    rule = make_rule(levels=(Level("warning", (WARNING,)),))
    jobs = make_jobs({"gpus_observed": 1.0, "gpu_coverage_ratio": coverage})
    assert compile_rules([rule]).judge(jobs, blind=False).columns["waste_holds"].to_list() == [severity]


# Null is no gap in knowledge there: a run that has not ended, and one that no resize has made.
FACTS = sorted(INPUTS.keys() - {"end_timestamp_seconds", "job_start", *OF_RUN})
SEEDS = st.integers(0, 2**32)


def lose(random: Random, jobs: pl.DataFrame) -> pl.DataFrame:
    """Forget values at random, some columns altogether."""
    columns = random.sample(FACTS, random.randint(1, 6))
    lost = {column: pl.Series([random.random() < 0.6 for _ in range(jobs.height)]) for column in columns}
    return jobs.with_columns(pl.when(~pl.lit(mask)).then(pl.col(column)).alias(column) for column, mask in lost.items())


def judged(rules: list[Rule], jobs: pl.DataFrame, *, blind: bool) -> set[tuple[int, str]]:
    findings = compile_rules(rules).judge(jobs, blind=blind).findings
    assert findings.null_count().row(0) == (0,) * findings.width
    return set(findings.select("run_id", "reason").rows())


@settings(max_examples=settings.default.max_examples // 2)
@given(SEEDS)
def test_what_is_not_known_never_makes_a_finding(seed: int) -> None:
    """Of inputs, and of the columns that are computed from them."""
    random = Random(seed)
    before, rules, observation = random_jobs(random, 20), random_rules(random), random_observation(random)
    blind = observation.is_blind
    less = lose(random, before)
    for each in (less, with_computed(less)):
        assert judged(rules, each, blind=blind) <= judged(rules, before, blind=blind)
        for judgement in explain_all(each, compile_rules(rules), observation).values():
            assert all(not_judged.because for not_judged in judgement.not_judged)


@given(SEEDS)
def test_what_is_computed_of_less_is_the_same_or_not_known(seed: int) -> None:
    random = Random(seed)
    before = random_jobs(random, 20)
    less = with_computed(lose(random, before))
    for column in (*(each.name for each in EFFICIENCY), "wasted_gpu_seconds"):
        pairs = zip(before[column], less[column], strict=True)
        assert all(now is None or now == then for then, now in pairs), column


def test_of_nothing_nothing_is_said() -> None:
    jobs = make_jobs({}).clear()
    waste = compile_rules(RULES).judge(jobs, blind=False)
    assert (waste.columns.shape, waste.findings.shape) == ((0, 2), (0, 9))
    assert explain_all(jobs, compile_rules(RULES), HEALTHY) == {}
    assert compile_rules(()).judge(make_jobs({}), blind=False).findings.is_empty()


def test_a_finding_has_the_value_and_the_coverage_of_its_first_condition() -> None:
    by_level = make_rule(levels=(Level("warning", (COMMON, WARNING)), Level("critical", (WARNING, BETTER))))
    jobs = make_jobs(
        {"run_id": 1, "granted_cpus": 3, "gpus_observed": 2.0, "gpu_coverage_ratio": 0.9},
        {"run_id": 2, "granted_cpus": 3, "gpus_observed": 2.0, "gpu_coverage_ratio": 0.9, "granted_nodes": 0},
    )
    assert compile_rules([by_level]).judge(jobs, blind=False).findings.select(
        "run_id", "reason", "severity", "value", "coverage"
    ).rows() == [
        (1, "holds", "critical", 2.0, 0.9), (2, "holds", "warning", 3.0, 1.0),
    ]  # fmt: skip
