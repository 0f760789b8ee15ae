"""What is said of each run in words is what the frames say of all."""

from collections.abc import Sequence
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.waste import SEVERITIES, Exemption, Rule
from aggregator.parts.waste.judge import explain_all
from aggregator.parts.waste.rules import compile_rules

from .random_rules import RULES, random_exemption, random_rules
from .runs import random_jobs, random_observation
from .scene import SHIPPED


def check(random: Random, jobs: pl.DataFrame, rules: Sequence[Rule], exemptions: Sequence[Exemption] = ()) -> None:
    observation, compiled = random_observation(random), compile_rules(rules, exemptions)
    waste = compiled.judge(jobs, blind=observation.is_blind)
    judgements = explain_all(jobs, compiled, observation)
    assert list(judgements) == jobs["run_id"].to_list()
    found = [{each.reason: each for each in judgement.findings} for judgement in judgements.values()]
    for rule in compiled.rules:
        of_rule = [of_run.get(rule.rule.name) for of_run in found]
        assert waste.columns[rule.column].to_list() == [each and each.severity for each in of_rule]
    assert sorted(waste.findings.select("run_id", "reason", "severity", "value", "coverage").rows()) == sorted(
        (run_id, each.reason, each.severity, each.value, each.coverage)
        for run_id, judgement in judgements.items()
        for each in judgement.findings
    )
    for judgement in judgements.values():
        assert not {each.reason for each in judgement.findings} & {each.rule for each in judgement.not_judged}


@pytest.mark.parametrize("seed", range(2))
def test_each_shipped_rule_holds_for_some_of_many_runs_at_either_severity(seed: int) -> None:
    random = Random(seed)
    jobs = random_jobs(random, 2000)
    check(random, jobs, SHIPPED)
    said = compile_rules(SHIPPED).judge(jobs, blind=False).findings.select("reason", "severity").rows()
    assert set(said) == {(rule.name, severity) for rule in SHIPPED for severity in SEVERITIES}


@given(st.integers(0, 2**32))
def test_any_rules_and_exemptions_are_put_into_words(seed: int) -> None:
    random = Random(seed)
    jobs = random_jobs(random, 30)
    exemptions = [random_exemption(random, RULES) for _ in range(random.choice([0, 1, 2]))]
    check(random, jobs, random_rules(random), exemptions)
