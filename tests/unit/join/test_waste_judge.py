"""What holds for any rules: nothing that is not known, or not seen well enough, is ever a reason to accuse."""

from dataclasses import replace
from graphlib import CycleError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.facts import READERS, Facts, Observed, facts
from aggregator.join.waste import Judge
from aggregator.model.view import GpuUse, Job, JobUse
from aggregator.model.waste import FIELDS, SEVERITIES, Condition, Fact, Judgement, Level, NotJudged, Rule
from tests.builders import FAIR_SHARE, GIB, NOW, make_allocation, make_job, make_ledger, make_rule, make_use

from .waste_scene import HOURS, SHIPPED, found, make_scene, reasons

OBSERVED = Observed(NOW, FAIR_SHARE, make_use())


def level(severity: Any, *conditions: tuple[str, Any, float]) -> Level:
    return Level(severity, tuple(Condition(*condition) for condition in conditions))


def rule(name: str, *conditions: tuple[str, Any, float], **changes: Any) -> Rule:
    return make_rule(name=name, levels=(level("warning", *conditions),), **changes)


TRUE, FALSE, UNKNOWN = (
    ("cpus_allocated", ">=", 1.0), ("cpus_allocated", "<", 1.0), ("cpu_used_ratio", "<", 9.0),
)  # fmt: skip


def judge(*rules: Rule, job: Job | None = None) -> Judgement:
    """Judge a run of an hour of whose use nothing is known."""
    return Judge(rules).judge(job or make_job(), OBSERVED)


def names(judgement: Judgement) -> list[str]:
    return [finding.reason for finding in judgement.findings]


def test_every_field_has_a_reader_and_a_meaning() -> None:
    assert READERS.keys() == FIELDS.keys()
    assert facts(make_job(), OBSERVED).keys() == FIELDS.keys()


@pytest.mark.parametrize(
    ("operator", "held"), [("<", [7]), ("<=", [7, 8]), (">", [9]), (">=", [8, 9]), ("==", [8]), ("!=", [7, 9])]
)
def test_operators_compare_the_value_with_the_threshold(operator: str, held: list[int]) -> None:
    runs = {cpus: make_job(allocated=make_allocation(cpus=cpus)) for cpus in (7, 8, 9)}
    one = rule("r", ("cpus_allocated", operator, 8.0))
    assert [cpus for cpus, job in runs.items() if names(judge(one, job=job))] == held


def test_all_conditions_must_hold() -> None:
    assert names(judge(rule("r", TRUE, FALSE))) == []
    assert names(judge(rule("r", TRUE, TRUE))) == ["r"]
    assert names(judge(rule("r", TRUE, conditions=(Condition(*FALSE),)))) == []


def test_an_unknown_value_is_not_judged_unless_another_condition_fails_anyway() -> None:
    assert judge(rule("r", UNKNOWN)) == judge(rule("r", UNKNOWN, TRUE))
    assert judge(rule("r", UNKNOWN)).not_judged == (
        NotJudged("r", "not all of its nodes have samples of cpu_seconds"),
    )  # fmt: skip
    assert judge(rule("r", UNKNOWN, FALSE)) == Judgement()
    assert judge(rule("r", FALSE, UNKNOWN)) == Judgement()
    assert judge(rule("r", FALSE, conditions=(Condition(*UNKNOWN),))) == Judgement()


def test_the_worst_severity_that_is_sure_counts() -> None:
    both = make_rule(levels=(level("warning", TRUE), level("critical", TRUE)))
    sure = make_rule(levels=(level("critical", UNKNOWN), level("warning", TRUE)))
    assert [each.severity for each in judge(both).findings] == ["critical"]
    assert [each.severity for each in judge(sure).findings] == ["warning"]
    assert judge(sure).not_judged == ()


def test_a_rule_gives_way_to_a_finding_that_says_the_same_wherever_it_stands() -> None:
    better, worse = rule("better", TRUE), rule("worse", TRUE, unless=frozenset({"better"}))
    worst = rule("worst", TRUE, unless=frozenset({"worse"}))
    assert names(judge(worst, worse, better)) == ["better"]
    assert names(judge(worse, rule("better", FALSE))) == ["worse"]
    assert names(judge(worse)) == ["worse"], "the better rule is disabled"


def test_a_rule_gives_way_to_one_that_may_hold() -> None:
    worse = rule("worse", TRUE, unless=frozenset({"better"}))
    judged = judge(worse, rule("better", UNKNOWN))
    assert names(judged) == []
    assert judged.not_judged[1] == NotJudged(
        "worse", "better is not judged: not all of its nodes have samples of cpu_seconds"
    )


def test_a_rule_does_not_wait_for_one_that_judges_older_runs_only() -> None:
    later = rule("better", TRUE, minimum_runtime=7200.0)
    judged = judge(rule("worse", TRUE, unless=frozenset({"better"})), later)
    assert names(judged) == ["worse"]
    assert judged.not_judged == (NotJudged("better", "it runs for 60 min, judged from 120 min"),)


def test_rules_that_give_way_to_each_other_are_refused() -> None:
    with pytest.raises(CycleError):
        Judge([rule("a", TRUE, unless=frozenset({"b"})), rule("b", TRUE, unless=frozenset({"a"}))])


def test_gpu_rules_are_about_runs_with_gpus() -> None:
    """Nothing is said of them for the others, not even that they are not judged."""
    assert judge(rule("r", UNKNOWN, resource="gpu")) == Judgement()
    gpu_run = make_job(allocated=make_allocation(gpus={"": 1}))
    assert judge(rule("r", TRUE, resource="gpu"), job=gpu_run).findings != ()


def test_without_rules_nothing_is_said() -> None:
    assert judge() == Judgement()
    assert Judge().rules == ()


def test_the_exporters_that_are_down_are_named_and_many_are_counted() -> None:
    nodes = tuple(f"n{number}" for number in range(5))
    for held, text in ((nodes[:2], "the exporters of n0, n1 are down"),
                       (nodes, "the exporters of n0, n1, n2 and 2 more are down")):  # fmt: skip
        judged = judge(rule("r", UNKNOWN), job=make_job(nodes=held))
        assert judged.not_judged == (NotJudged("r", text),)


def test_without_use_prometheus_is_named() -> None:
    judged = Judge([rule("r", UNKNOWN)]).judge(make_job(), Observed(NOW, FAIR_SHARE, None))
    assert judged.not_judged == (NotJudged("r", "Prometheus could not be read"),)


NUMBER = st.floats(0, 1e12) | st.sampled_from([0.0, 0.5, 1.0, 1800.0, 3600.0])
CONDITIONS = st.lists(
    st.builds(Condition, st.sampled_from(sorted(FIELDS)), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBER),
    min_size=1, max_size=3,
).map(tuple)  # fmt: skip
NAMES = ("a", "b", "c", "d")


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    """Draw rules that give way only to those before them, so that there is no circle, in any order."""
    rules = [
        make_rule(
            name=name,
            resource=draw(st.sampled_from(["cpu", "memory", "gpu"])),
            levels=tuple(Level(severity, draw(CONDITIONS)) for severity in SEVERITIES),
            conditions=draw(st.just(()) | CONDITIONS),
            coverage=draw(st.sampled_from([0.5, 0.8, 1.0])),
            minimum_runtime=draw(st.sampled_from([0.0, 1800.0, 3600.0])),
            unless=frozenset(draw(st.sets(st.sampled_from(NAMES[:index])))) if index else frozenset(),
        )
        for index, name in enumerate(NAMES)
    ]
    return draw(st.permutations([*rules, *SHIPPED]))


FACTS = st.fixed_dictionaries(
    {field: st.builds(Fact, st.none() | NUMBER, st.sampled_from([0.0, 0.5, 0.79, 0.8, 1.0])) for field in FIELDS}
)
GPU_RUN = make_job(allocated=make_allocation(gpus={"a100": 2}), start=NOW - 2 * HOURS)


def judge_facts(monkeypatch: pytest.MonkeyPatch, rules: list[Rule], known: dict[str, Fact]) -> set[str]:
    monkeypatch.setattr(Facts, "__missing__", lambda _, field: known[field])
    return set(names(Judge(rules).judge(GPU_RUN, OBSERVED)))


@given(rule_sets(), FACTS, st.sets(st.sampled_from(sorted(FIELDS))))
def test_what_is_not_known_never_makes_a_finding(rules: list[Rule], known: dict[str, Fact], lost: set[str]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        before = judge_facts(monkeypatch, rules, known)
        less = {field: replace(fact, value=None) if field in lost else fact for field, fact in known.items()}
        assert judge_facts(monkeypatch, rules, less) <= before


@given(rule_sets(), FACTS, st.floats(0, 1))
def test_less_coverage_never_makes_a_finding(rules: list[Rule], known: dict[str, Fact], factor: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        before = judge_facts(monkeypatch, rules, known)
        less = {field: replace(fact, coverage=fact.coverage * factor) for field, fact in known.items()}
        assert judge_facts(monkeypatch, rules, less) <= before


@given(rule_sets(), FACTS, st.floats(0, 8000))
def test_below_a_rules_minimum_runtime_it_has_no_finding(
    rules: list[Rule], known: dict[str, Fact], elapsed: float
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Facts, "__missing__", lambda _, field: known[field])
        job = make_job(allocated=make_allocation(gpus={"a100": 2}), start=NOW - elapsed)
        judgement = Judge(rules).judge(job, OBSERVED)
    assert all(finding.rule.minimum_runtime <= job.run.elapsed(NOW) for finding in judgement.findings)
    assert len(set(names(judgement))) == len(judgement.findings), "one finding of each rule"
    assert not set(names(judgement)) & {each.rule for each in judgement.not_judged}


GPUS = st.none() | st.builds(
    GpuUse, coverage=st.sampled_from([0.0, 0.5, 1.0]), observed=st.none() | st.integers(0, 4),
    busy=st.none() | st.integers(0, 4), judged=st.floats(0, 4), utilization=st.none() | st.floats(0, 1),
)  # fmt: skip
SECONDS = st.floats(0, 1e6)


@given(
    st.builds(JobUse, cpu_seconds=st.none() | SECONDS, memory_peak_bytes=st.none() | st.floats(0, 1e12), gpu=GPUS),
    st.none() | st.builds(
        make_ledger, since=st.just(NOW) | st.floats(NOW - 1e5, NOW), gpu_seconds=SECONDS, gpu_used_seconds=SECONDS,
        gpu_idle_seconds=SECONDS, gpu_partly_idle_seconds=SECONDS,
    ),
    st.none() | st.floats(NOW - 1e5, NOW + 10),
    st.dictionaries(st.sampled_from(["a100", ""]), st.integers(0, 4)),
)  # fmt: skip
def test_every_fact_of_any_run_is_sound(use: JobUse, ledger: Any, start: float | None, gpus: dict[str, int]) -> None:
    run = make_job(start=start, allocated=make_allocation(gpus=gpus)).run
    for field, fact in facts(Job(run, use, make_job().efficiency, ledger), OBSERVED).items():
        assert 0.0 <= fact.coverage <= 1.0, field
        assert fact.value is None or fact.value >= 0, field
        assert fact.value is not None or fact.missing, field


def test_idle_time_is_judged_by_what_is_seen_now_too() -> None:
    """One of two nodes has lost its exporter: its GPU may be busy since."""
    job = make_scene(
        gpus=2, utilization=[0.0], idle=2 * HOURS, nodes=("node01", "node09"), memory=GIB, rules=SHIPPED[:1]
    )  # fmt: skip
    assert found(job) == {}
    assert reasons(job) == {"gpu_unused": "the exporter of node09 is down"}
