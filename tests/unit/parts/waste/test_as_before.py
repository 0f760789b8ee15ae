"""The rules as expressions say of any run, word by word, what the join of objects says."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.waste import Judge
from aggregator.model.waste import FIELDS, SEVERITIES, Condition, Exemption, Judgement, Level, Rule
from aggregator.parts.waste.rules import Compiled, compile_rules
from tests.builders import GIB, make_rule

from .runs import NAMES, RATIOS, Seen, jobs_frame, observation_of, observed_of, random_fetch, random_runs
from .scene import SHIPPED, explain_all

EFFICIENCIES = {
    "observed_ratio": "observed", "cpu_efficiency_ratio": "cpu", "memory_efficiency_ratio": "memory",
    "time_limit_used_ratio": "time_limit_used", "wasted_cpus": "wasted_cpus",
    "wasted_memory_bytes": "wasted_memory_bytes", "wasted_gpus": "wasted_gpus",
    "wasted_cpu_seconds": "wasted_cpu_seconds", "wasted_gpu_seconds": "wasted_gpu_seconds",
}  # fmt: skip


def check_efficiencies(seen: list[Seen]) -> None:
    rows = jobs_frame(seen).select(*EFFICIENCIES).rows()
    known = [each.job().efficiency for each in seen]
    assert rows == [tuple(getattr(one, old) for old in EFFICIENCIES.values()) for one in known]


def check_judgements(random: Random, seen: list[Seen], rules: list[Rule], exemptions: list[Exemption]) -> None:
    """Compare the words of each run, and what the frames say of all."""
    fetch, judge = random_fetch(random), Judge(rules, exemptions)
    before = [judge.judge(each.job(), observed_of(fetch)) for each in seen]
    jobs, compiled = jobs_frame(seen), compile_rules(rules, exemptions)
    assert tuple(each.rule.name for each in compiled.rules) == judge.rules
    assert explain_all(jobs, compiled, observation_of(fetch)) == before
    check_frames(compiled, seen, before, blind=observation_of(fetch).is_blind)


def check_frames(compiled: Compiled, seen: list[Seen], before: list[Judgement], *, blind: bool) -> None:
    waste = compiled.judge(jobs_frame(seen), blind=blind)
    found = [{each.reason: each for each in judgement.findings} for judgement in before]
    for rule in compiled.rules:
        of_rule = [of_run.get(rule.rule.name) for of_run in found]
        assert waste.columns[rule.column].to_list() == [each and each.severity for each in of_rule]
    assert sorted(waste.findings.drop("job_id", "user", "account", "is_owner").rows()) == sorted(
        (run.run.run_id, each.reason, each.severity, each.value, each.coverage)
        for run, of_run in zip(seen, found, strict=True)
        for each in of_run.values()
    )


@pytest.mark.parametrize("seed", range(2))
def test_many_runs_are_judged_as_before(seed: int) -> None:
    """Each shipped rule holds for some of them, at either severity, and is not judged for others."""
    random = Random(seed)
    seen = random_runs(random, 2000)
    check_efficiencies(seen)
    check_judgements(random, seen, list(SHIPPED), [])
    said = compile_rules(SHIPPED).judge(jobs_frame(seen), blind=False).findings.select("reason", "severity").rows()
    assert set(said) == {(rule.name, severity) for rule in SHIPPED for severity in SEVERITIES}


RULES = ("a", "b", "c", "d")
THRESHOLDS = (0.0, 1.0, 2.0, 1800.0, 3600.0, 7200.0, 86_400.0, float(8 * GIB), *RATIOS)


def random_rules(random: Random) -> list[Rule]:
    """Draw rules that give way only to those before them, so that there is no circle, in any order."""
    rules = [_rule(random, name, RULES[:number]) for number, name in enumerate(RULES)]
    if random.random() < 0.5:
        rules += SHIPPED
    random.shuffle(rules)
    return rules[random.randint(0, 2) :]


def _rule(random: Random, name: str, before: tuple[str, ...]) -> Rule:
    severities = random.choice([("warning",), ("critical",), ("warning", "critical"), ("critical", "warning")])
    return make_rule(
        name=name, resource=random.choice(["cpu", "memory", "gpu"]), coverage=random.choice([0.0, 0.01, 0.5, 0.8, 1.0]),
        levels=tuple(Level(severity, _conditions(random, 1)) for severity in severities),
        conditions=_conditions(random, 0), minimum_runtime=random.choice([0.0, 1800.0, 3600.0]),
        unless=frozenset(random.sample(before, random.randint(0, len(before)))),
        exemptions=tuple(_exemption(random) for _ in range(random.choice([0, 0, 0, 1, 2]))),
    )  # fmt: skip


def _conditions(random: Random, least: int) -> tuple[Condition, ...]:
    count = random.choice([least, least, 1, 2, 3])
    return tuple(
        Condition(random.choice(sorted(FIELDS)), random.choice(["<", "<=", ">", ">=", "==", "!="]),
                  random.choice(THRESHOLDS)) for _ in range(count)
    )  # fmt: skip


def _exemption(random: Random, rules: tuple[str, ...] = ()) -> Exemption:
    of_parts = [frozenset(random.sample("abc", random.choice([0, 0, 1, 2]))) for _ in range(4)]
    patterns = tuple(random.sample(["bench-*", "*.sh", "?", "", "*é*", "[!a-z]*", *NAMES], random.choice([0, 0, 1, 2])))
    return Exemption(*of_parts, patterns, frozenset(random.sample(rules, random.randint(0, len(rules)))))


@given(st.integers(0, 2**32))
def test_any_rules_say_what_they_have_said(seed: int) -> None:
    random = Random(seed)
    seen = random_runs(random, 30)
    check_efficiencies(seen)
    exemptions = [_exemption(random, RULES) for _ in range(random.choice([0, 1, 2]))]
    check_judgements(random, seen, random_rules(random), exemptions)
