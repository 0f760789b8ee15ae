"""Which differences count, and what is said of those that are meant."""

from tests.differential.intended import Intended
from tests.differential.page import Difference
from tests.differential.report import Report
from tests.differential.rounds import Rounds

MEANT = Intended("hpc_a", "jobs without a user are left out", {"user": "", "qos": "n.*"}, ("demo",))
A = Difference("hpc_a", (("qos", "normal"),), ("1",), ())
PAGE = '# TYPE hpc_a gauge\nhpc_a{qos="normal"} 1\n# TYPE hpc_b_total counter\n'


def test_an_intended_difference_is_one_of_its_family_labels_and_input() -> None:
    report = Report((MEANT,))
    others = [
        Difference("hpc_ab", A.labels, ("1",), ()),
        Difference("hpc_a", (("qos", "long"),), ("1",), ()),
        Difference("hpc_a", (("qos", "normal"), ("user", "ann")), ("1",), ()),
    ]
    assert report.judge("demo", [A, *others]) == (others, [A])
    assert report.judge("releases", [A]) == ([A], [])


def test_a_measured_value_may_differ_and_a_measured_sample_may_not_be_missing() -> None:
    age = "hpc_aggregator_loop_age_seconds"
    missing = Difference(age, (("loop", "x"),), ("1",), ())
    assert Report().judge("demo", [Difference(age, (), ("1",), ("2",)), missing]) == ([missing], [])


def test_a_difference_that_is_not_meant_is_said_with_its_values_and_fails() -> None:
    report = Report(())
    lines = report.note("demo", "start", PAGE, [A], 1.0)
    assert "1 differences" in lines[0]
    assert lines[1:] == ["    hpc_a: 1 missing in the new edition", f"        {A}"]
    assert 'hpc_a{qos="normal"}  old: 1  new: no sample' in lines[2]
    assert not report.end((), whole=False)[1]


def test_a_difference_that_is_meant_and_does_not_occur_is_said_when_all_was_read() -> None:
    said = "listed as intended, and does not occur: hpc_a: jobs without a user are left out"
    report = Report((MEANT,))
    report.note("demo", "start", PAGE, [], 1.0)
    assert report.end((), whole=False)[1]
    lines, is_well = report.end((), whole=True)
    assert said in lines
    assert not is_well
    report.note("demo", "later", PAGE, [A], 1.0)
    lines, is_well = report.end((), whole=True)
    assert said not in lines
    assert is_well


def test_families_that_no_input_has_are_named() -> None:
    report = Report(())
    report.note("demo", "start", PAGE, [], 1.0)
    lines, _ = report.end(("hpc_a", "hpc_b_total", "hpc_c"), whole=True)
    assert lines[:2] == ["not seen in any input: hpc_b", "not seen in any input: hpc_c"]


def own(ages: dict[str, float], up: int = 1) -> str:
    lines = [f'hpc_aggregator_loop_age_seconds{{loop="{loop}"}} {age}' for loop, age in ages.items()]
    return "\n".join(["# HELP x X.", *lines, f'hpc_aggregator_source_up{{source="ledger"}} {up}'])


def test_rounds_are_those_of_the_slowest_loop_since_the_last_change() -> None:
    rounds = Rounds()
    assert rounds.look(own({"a": 0.5, "b": 0.5})) == 0
    assert rounds.look(own({"a": 0.1, "b": 0.7})) == 0, "b has not come round"
    assert rounds.look(own({"a": 0.05, "b": 0.1})) == 1
    assert rounds.look(own({"a": 0.3, "b": 0.3})) == 1, "nobody has"
    assert rounds.look(own({"a": 0.1, "b": 0.1}, up=0)) == 1, "the round in which it was said is over"
    assert rounds.look("") == 0
