"""What is explained of each rule is what judges: the same results, made of the conditions that are shown."""

from random import Random
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.waste import ConditionCompared, Exemption, Judgement, NotJudged, Rule, RuleExplained
from aggregator.parts.waste.judge import explain_all, explain_rules
from aggregator.parts.waste.rules import compile_rules
from tests.builders import make_rule

from .random_rules import RULES, random_exemption, random_rules
from .runs import random_jobs, random_observation
from .scene import HEALTHY, SHIPPED, level, make_jobs, rule
from .test_kleene import lose


def explained(*rules: Rule, exemptions: tuple[Exemption, ...] = (), **changes: Any) -> dict[str, RuleExplained]:
    """Explain a run of an hour of whose use nothing is known."""
    found = explain_rules(make_jobs(changes), compile_rules(rules, exemptions), HEALTHY)
    return {each.rule.name: each for each in found}


def every(conditions: tuple[ConditionCompared, ...]) -> bool | None:
    truths = [each.holds for each in conditions]
    return False if False in truths else None if None in truths else True


@settings(max_examples=settings.default.max_examples // 2)
@given(st.integers(0, 2**32))
def test_what_is_explained_is_what_judges(seed: int) -> None:
    """For any rules, exemptions and runs, of which anything may not be known."""
    random = Random(seed)
    jobs, observation = random_jobs(random, 5), random_observation(random)
    jobs = random.choice([jobs, lose(random, jobs)])
    compiled = compile_rules(
        random_rules(random), [random_exemption(random, RULES) for _ in range(random.randint(0, 2))]
    )
    waste = compiled.judge(jobs, blind=observation.is_blind)
    judgements = explain_all(jobs, compiled, observation)
    for number, judgement in enumerate(judgements.values()):
        found = explain_rules(jobs[number], compiled, observation)
        reasons = waste.reasons.row(number, named=True)
        assert [each.severity for each in found] == list(waste.columns.row(number))
        said = {each.rule: each.because for each in judgement.not_judged}
        for each in found:
            name = each.rule.name
            assert each.because in (said.get(name), said.get(""), "it has no GPUs", "")
            assert bool(each.because) == (name in said or "" in said or each.because == "it has no GPUs")
            assert every(each.common) == reasons[f"common_{name}"]
            truths = [every(conditions) for conditions in each.levels.values()]
            assert truths == [reasons[f"level_{name}_{place}"] for place in range(len(truths))]
            for compared in (*each.common, *(one for conditions in each.levels.values() for one in conditions)):
                assert bool(compared.unknown) == (compared.holds is None)


def test_each_condition_has_what_it_compares() -> None:
    one = explained(rule("r", ("cpus_allocated", ">=", 1.0), ("cpu_used_ratio", "<", 0.5)))["r"]
    known, unknown = one.levels["warning"]
    assert (known.value, known.coverage, known.holds, known.unknown) == (8.0, 1.0, True, "")
    assert (unknown.value, unknown.holds) == (None, None)
    assert one.result == f"not judged, because {unknown.unknown}"
    assert unknown.unknown == "not all of its nodes have samples of cpu_seconds"


def test_a_rule_says_which_better_one_takes_precedence() -> None:
    holds = ("cpus_allocated", ">=", 1.0)
    found = explained(rule("better", holds), rule("worse", holds, unless=frozenset({"better"})))
    assert (found["better"].result, found["worse"].result) == (
        "warning",
        "does not count, because better says the same",
    )
    assert found["worse"].better == {"better": True}
    assert explained(rule("r", ("cpus_allocated", "<", 1.0)))["r"].result == "does not hold"


def test_gpu_rules_say_that_the_run_has_none() -> None:
    one = explained(rule("r", ("cpus_allocated", ">=", 1.0), resource="gpu"), state="pending")["r"]
    assert (one.applies, one.result) == (False, "not judged, because it has no GPUs")


def test_exemptions_are_named_by_what_of_the_run_is_exempt() -> None:
    """Never by the others whom the same exemption names."""
    exempt = Exemption(users=frozenset({"alice", "bob"}), rules=frozenset({"r"}))
    found = explained(make_rule(name="r"), make_rule(name="other"), exemptions=(exempt,))
    assert (found["r"].exemptions, found["other"].exemptions) == (("user alice",), ())
    assert (found["r"].result, found["other"].result) == ("not judged, because exempted: user alice", "warning")


def test_what_was_said_of_a_run_stands_whatever_its_row_says() -> None:
    said = Judgement((), (NotJudged("", "it is not among the running jobs"),))
    (one,) = explain_rules(make_jobs({}), compile_rules([make_rule()]), HEALTHY, said)
    assert one.result == "not judged, because it is not among the running jobs"
    assert one.levels["warning"][0].holds


def test_every_shipped_rule_is_explained_of_every_run() -> None:
    names = {each.name for each in SHIPPED}
    for state in ("running", "pending", "suspended"):
        assert explained(*SHIPPED, state=state).keys() == names
    assert explain_rules(pl.DataFrame(make_jobs({})), compile_rules(()), HEALTHY) == ()
    assert explained(make_rule(levels=(level("critical", ("nodes", ">", 0.0)),)))["holds"].result == "critical"
