"""What holds for any rules: when they give way, whom they are about, and what is said where they are not judged."""

from dataclasses import replace
from graphlib import CycleError
from random import Random
from typing import Any

import pytest

from aggregator.model.waste import FIELDS, Condition, Exemption, Judgement, NotJudged, Rule
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.waste.facts import BLIND, facts
from aggregator.parts.waste.rules import compile_rules

from .runs import random_jobs
from .scene import HEALTHY, HOURS, SHIPPED, found, judge_row, level, make_rule, reasons, rule

TRUE, FALSE, UNKNOWN = (
    ("cpus_allocated", ">=", 1.0), ("cpus_allocated", "<", 1.0), ("cpu_used_ratio", "<", 9.0),
)  # fmt: skip
UNSEEN = "not all of its nodes have samples of cpu_seconds"


def judge(*rules: Rule, gpus: int = 0) -> Judgement:
    """Judge a run of an hour of whose use nothing is known."""
    return judge_row(rules, granted_gpus=gpus)


def test_every_field_of_the_rules_files_is_computed_and_no_other() -> None:
    assert facts(FairShare()).keys() == FIELDS.keys()


@pytest.mark.parametrize(
    ("operator", "held"), [("<", [7]), ("<=", [7, 8]), (">", [9]), (">=", [8, 9]), ("==", [8]), ("!=", [7, 9])]
)
def test_operators_compare_the_value_with_the_threshold(operator: str, held: list[int]) -> None:
    one = rule("r", ("cpus_allocated", operator, 8.0))
    assert [cpus for cpus in (7, 8, 9) if found(judge_row([one], granted_cpus=cpus))] == held


def test_the_first_condition_that_is_not_known_is_named() -> None:
    conditions = (Condition("memory_peak_ratio", "<", 1.0), Condition(*TRUE))
    assert reasons(judge(rule("r", TRUE, UNKNOWN))) == {"r": UNSEEN}
    assert reasons(judge(rule("r", UNKNOWN, conditions=conditions)))["r"].endswith("samples of memory_peak_bytes")
    levels = (level("warning", ("memory_peak_ratio", "<", 1.0)), level("critical", UNKNOWN))
    assert reasons(judge(make_rule(name="r", levels=levels))) == {"r": UNSEEN}
    levels = (level("warning", ("memory_peak_ratio", "<", 1.0)), level("critical", UNKNOWN, FALSE))
    assert reasons(judge(make_rule(name="r", levels=levels)))["r"].endswith("samples of memory_peak_bytes")


def test_a_rule_gives_way_to_a_finding_that_says_the_same_wherever_it_stands() -> None:
    better, worse = rule("better", TRUE), rule("worse", TRUE, unless=frozenset({"better"}))
    worst = rule("worst", TRUE, unless=frozenset({"worse"}))
    assert list(found(judge(worst, worse, better))) == ["better"]
    assert list(found(judge(worse, rule("better", FALSE)))) == ["worse"]
    assert list(found(judge(worse))) == ["worse"], "the better rule is disabled"


def test_a_rule_gives_way_to_one_that_may_hold() -> None:
    rules = [rule("z", UNKNOWN), rule("y", UNKNOWN), rule("worse", TRUE, unless=frozenset({"y", "z"}))]
    judgement = judge(*rules, rule("worst", TRUE, unless=frozenset({"worse"})))
    assert found(judgement) == {}
    assert reasons(judgement) == {
        "z": UNSEEN, "y": UNSEEN, "worse": f"y is not judged: {UNSEEN}",
        "worst": f"worse is not judged: y is not judged: {UNSEEN}",
    }  # fmt: skip


def test_a_rule_does_not_wait_for_one_that_judges_older_runs_only() -> None:
    later = rule("better", TRUE, minimum_runtime=7200.0)
    judgement = judge(rule("worse", TRUE, unless=frozenset({"better"})), later)
    assert list(found(judgement)) == ["worse"]
    assert judgement.not_judged == (NotJudged("better", "it runs for 60 min, judged from 120 min"),)


def test_a_run_that_is_too_young_for_every_rule_is_told_of_the_first() -> None:
    rules = [rule("later", TRUE, minimum_runtime=9 * HOURS), rule("soon", TRUE, minimum_runtime=1.5 * HOURS)]
    earlier = rule("gpu", TRUE, resource="gpu", minimum_runtime=1.25 * HOURS)
    assert reasons(judge(*rules, earlier)) == {"": "it runs for 60 min, judged from 90 min"}
    assert reasons(judge(*rules, earlier, gpus=1)) == {"": "it runs for 60 min, judged from 75 min"}


def test_an_exemption_is_named_before_the_runtime() -> None:
    exempt = rule("r", TRUE, minimum_runtime=9 * HOURS, exemptions=(Exemption(qos=frozenset({"normal"})),))
    assert reasons(judge(exempt, rule("other", FALSE))) == {"r": "exempted: qos normal"}


def test_rules_come_after_those_that_say_the_same_better() -> None:
    assert [each.rule.name for each in compile_rules(SHIPPED).rules] == [
        "gpu_unused", "cpu_serial", "memory_overrequested", "gpu_partly_unused", "cpu_low", "gpu_low_utilization",
    ]  # fmt: skip


def test_rules_that_give_way_to_each_other_are_refused() -> None:
    with pytest.raises(CycleError):
        compile_rules([rule("a", TRUE, unless=frozenset({"b"})), rule("b", TRUE, unless=frozenset({"a"}))])


def test_gpu_rules_are_about_runs_with_gpus() -> None:
    """Nothing is said of them for the others, not even that they are not judged."""
    assert judge(rule("r", UNKNOWN, resource="gpu")) == Judgement()
    assert found(judge(rule("r", TRUE, resource="gpu"), gpus=1)) == {"r": "warning"}


def test_without_rules_nothing_is_said() -> None:
    assert judge() == Judgement()
    assert judge_row([], state="pending") == Judgement()


def test_the_exporters_that_are_down_are_named_and_many_are_counted() -> None:
    nodes = [f"n{number}" for number in range(5)]
    for held, text in (
        (nodes[:1], "the exporter of n0 is down"),
        (nodes[:3], "the exporters of n0, n1, n2 are down"),
        (nodes, "the exporters of n0, n1, n2 and 2 more are down"),
    ):
        assert reasons(judge_row([rule("r", UNKNOWN)], nodes=held)) == {"r": text}


def test_an_exporter_that_shows_no_gpu_is_no_reason_for_missing_cpu_time() -> None:
    beside = replace(HEALTHY, gpu_nodes=frozenset({"node02"}))
    assert reasons(judge_row([rule("r", UNKNOWN)], observation=beside)) == {"r": UNSEEN}


@pytest.mark.parametrize(
    ("changes", "blind"),
    [
        ({"gpu_nodes": frozenset()}, True),
        ({}, False),
        ({"gpu_nodes": None}, False),
        ({"gpu_nodes": frozenset(), "has_gpus": False}, False),
        ({"gpu_nodes": frozenset(), "reachable": False}, False),
    ],
)
def test_a_cluster_is_blind_where_its_gpus_were_read_and_no_node_can_show_any(changes: Any, blind: bool) -> None:
    assert replace(HEALTHY, **changes).is_blind is blind


def test_a_value_that_nothing_explains_is_just_not_known() -> None:
    assert reasons(judge_row([rule("r", TRUE)], granted_cpus=None)) == {"r": "cpus_allocated is not known"}


def test_a_rule_of_which_it_is_not_known_whether_it_is_about_the_run_is_not_judged() -> None:
    one = rule("r", TRUE, exemptions=(Exemption(users=frozenset({"alice"})),))
    assert reasons(judge_row([one], user=None)) == {"r": "it is not known whether the rule is about it"}


def test_a_rule_waits_for_a_better_one_of_which_it_is_not_known_whether_it_is_about_the_run() -> None:
    better, worse = rule("better", TRUE, resource="gpu"), rule("worse", TRUE, unless=frozenset({"better"}))
    assert reasons(judge_row([better, worse], granted_gpus=None)) == {
        "better": "it is not known whether the rule is about it",
        "worse": "better is not judged: it is not known whether the rule is about it",
    }


def test_which_samples_are_missing_is_said_where_the_exporter_is_healthy() -> None:
    gpus = rule("r", ("gpus_observed", "<", 1.0), resource="gpu")
    unseen = reasons(judge_row([gpus], granted_gpus=1))
    assert unseen == {"r": "not all of its nodes have samples of gpu_utilization"}
    unknown = replace(HEALTHY, healthy_nodes=None, gpu_nodes=None)
    assert reasons(judge_row([gpus], observation=unknown, granted_gpus=1)) == unseen


@pytest.mark.parametrize("blind", [False, True])
def test_every_field_of_any_run_is_sound(blind: bool) -> None:
    jobs = random_jobs(Random(5), 500).with_columns(**{BLIND: blind})
    for field, fact in facts(FairShare()).items():
        known = jobs.select(fact.columns("f")).with_columns(fact.coverage("f"))
        value, coverage = known["value_f"], known["coverage_f"]
        assert (value.drop_nulls() >= 0).all(), field
        assert coverage.drop_nulls().is_between(0, 1).all(), field
        assert not value.is_nan().any(), field
