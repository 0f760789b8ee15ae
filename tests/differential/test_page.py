"""The comparison of two pages: what is the same is the same however it is written, and nothing else is."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

from tests.differential.page import Difference, differences, families, samples

PAGE = """\
# HELP hpc_a A.
# TYPE hpc_a gauge
hpc_a{user="ann",account="phys"} 1.0
hpc_a{user="ben",account="phys"} 2.5e+09
# HELP hpc_b_total B.
# TYPE hpc_b_total counter
hpc_b_total 3.0
"""


def test_order_numbers_and_help_texts_may_differ() -> None:
    other = """\
# HELP hpc_b_total Other words.
# TYPE hpc_b_total counter
hpc_b_total 3
# TYPE hpc_a gauge
hpc_a{account="phys",user="ben"} 2500000000
hpc_a{account="phys",user="ann",qos=""} 1.0000000000001
"""
    assert differences(PAGE, other) == []


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ("1", "1.00000001", True), ("1", "1.0000000001", False), ("0", "1e-10", False), ("0", "1e-8", True),
        ("1e12", "1.0000000005e12", False), ("NaN", "NaN", False), ("NaN", "0", True), ("+Inf", "+Inf", False),
        ("+Inf", "-Inf", True), ("-1", "1", True),
    ],
)  # fmt: skip
def test_values_are_compared_to_the_ninth_digit(old: str, new: str, differ: bool) -> None:
    assert bool(differences(f"hpc_a {old}", f"hpc_a {new}")) is differ


def test_what_one_page_lacks_or_has_twice_is_a_difference() -> None:
    ann = 'hpc_a{user="ann",account="phys"} 1.0\n'
    labels = (("account", "phys"), ("user", "ann"))
    assert differences(PAGE, PAGE.replace(ann, "")) == [Difference("hpc_a", labels, ("1.0",), ())]
    assert differences(PAGE.replace(ann, ""), PAGE) == [Difference("hpc_a", labels, (), ("1.0",))]
    assert differences(PAGE, PAGE + ann.replace("1.0", "7"))[0].new == ("7",)
    assert differences(PAGE, PAGE + ann)[0].new == ("1.0",)


def test_a_type_is_compared() -> None:
    (found,) = differences(PAGE, PAGE.replace("hpc_a gauge", "hpc_a untyped"))
    assert str(found) == "# TYPE hpc_a{}  old: gauge  new: untyped"


def test_an_empty_page_lacks_everything() -> None:
    assert differences("", "") == []
    assert {each.family for each in differences(PAGE, "")} == {
        "hpc_a",
        "hpc_b_total",
        "# TYPE hpc_a",
        "# TYPE hpc_b_total",
    }


def test_a_line_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no sample"):
        differences(PAGE, PAGE + "<html>\n")


def test_families_and_samples_are_counted() -> None:
    assert families(PAGE) == {"hpc_a", "hpc_b_total"}
    assert samples(PAGE) == {"hpc_a": 2, "hpc_b_total": 1}


def written(found: dict[tuple[str, str], float], order: Any = sorted) -> str:
    """Write a page by the reference implementation."""
    registry = CollectorRegistry()
    gauge = Gauge("hpc_a", "A.", ("user", "name"), registry=registry)
    for key in order(found):
        gauge.labels(*key).set(found[key])
    text: str = generate_latest(registry).decode()
    return text


TEXTS = st.text(min_size=1, max_size=8) | st.sampled_from(['"', "\\", "} 1", "{", "\n", '",x="', "# TYPE a b"])
PAGES = st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(allow_nan=False, allow_infinity=False), max_size=8)


@given(PAGES, PAGES)
def test_whatever_the_labels_each_difference_is_found_once(old: dict[Any, float], new: dict[Any, float]) -> None:
    wanted = {
        key
        for key in old.keys() | new.keys()
        if key not in old or key not in new or not math.isclose(old[key], new[key], rel_tol=1e-9, abs_tol=1e-9)
    }
    found = differences(written(old), written(new, reversed))
    assert len(found) == len(wanted)
