"""Exemptions as expressions are about the runs that they name, and about no others."""

import fnmatch
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.waste import Exemption
from aggregator.parts.waste.exemption import describe, exempts
from tests.builders import HOSTILE_NAMES

from .scene import RUN, make_jobs


def exempt(exemption: Exemption, **changes: Any) -> bool | None:
    found = make_jobs(changes).select(exempt=exempts(exemption))["exempt"].to_list()
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("exemption", "described"),
    [
        (Exemption(partitions=frozenset({"debug", "cpu"})), "partition cpu"),
        (Exemption(qos=frozenset({"normal"})), "qos normal"),
        (Exemption(accounts=frozenset({"def-kim"})), "account def-kim"),
        (Exemption(users=frozenset({"alice"})), "user alice"),
        (Exemption(job_names=("bench-*", "train*")), 'job name "train.sh"'),
        (Exemption(users=frozenset({"alice"}), qos=frozenset({"normal"})), "qos normal, user alice"),
    ],
)
def test_an_exemption_says_what_of_the_run_is_exempt(exemption: Exemption, described: str) -> None:
    assert exempt(exemption) is True
    assert describe(exemption, RUN) == described


@pytest.mark.parametrize(
    "exemption",
    [
        Exemption(),
        Exemption(partitions=frozenset({"gpu"})),
        Exemption(users=frozenset({"alice"}), accounts=frozenset({"def-lee"})),
        Exemption(users=frozenset({"alice"}), job_names=("trainer*",)),
        Exemption(job_names=("train", "*.py", "TRAIN.SH")),
    ],
)
def test_others_are_not_exempt(exemption: Exemption) -> None:
    """Every part must match, and a pattern the whole name in its case."""
    assert exempt(exemption) is False


def test_whether_a_run_without_a_name_is_exempt_is_not_known() -> None:
    assert exempt(Exemption(job_names=("*",)), job_name=None) is None
    assert exempt(Exemption(users=frozenset({"alice"})), user=None) is None
    assert exempt(Exemption(users=frozenset({"bob"}), job_names=("*",)), job_name=None) is False


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_can_be_matched_by_a_pattern(name: str) -> None:
    for pattern in ("*", "?*" + name[-1].replace("[", "[[]"), name.replace("[", "[[]"), "?" * len(name)):
        assert exempt(Exemption(job_names=(pattern,)), job_name=name) is True
    for pattern in ("", name[:-1], name + "?", "[!" + name[0].replace("\\", "\\\\") + "]*"):
        assert exempt(Exemption(job_names=(pattern.replace("{", "[{]"),)), job_name=name) is False


def as_fnmatch(patterns: list[str], names: list[str]) -> None:
    want = [any(re.match(fnmatch.translate(pattern), name) for pattern in patterns) for name in names]
    jobs = pl.DataFrame({"job_name": names}, schema={"job_name": pl.String})
    assert jobs.select(exempts(Exemption(job_names=tuple(patterns)))).to_series().to_list() == want


@pytest.mark.parametrize(
    "pattern",
    ["[]a]", "[!]]", "[!]a]x", "[a-]", "[-a]", "[a-c-e]", "[z-a]", "[!z-a]", "[", "a[b", "[]", "[!]", "[^a]", ""],
)
def test_sets_of_characters_are_read_as_fnmatch_reads_them(pattern: str) -> None:
    as_fnmatch(
        [pattern],
        ["a", "b", "c", "d", "e", "z", "]", "-", "!", "^", "[", "a[b", "x", "]x", "bx", "[]", "[!]", "", "\n"],
    )


ALPHABET = st.text(st.sampled_from("ab!]-[*?^&~|\\z\n.é"), max_size=8)


@given(st.lists(ALPHABET, min_size=1, max_size=3), st.lists(ALPHABET, min_size=1, max_size=20))
@pytest.mark.filterwarnings("ignore:Possible")
def test_shell_patterns_match_as_fnmatch_says(patterns: list[str], names: list[str]) -> None:
    # There fnmatch takes a "!" after an empty range for a negation.
    patterns = [pattern for pattern in patterns if not re.search("-.!", pattern, re.DOTALL)] or ["*"]
    as_fnmatch(patterns, [*names, *patterns])
