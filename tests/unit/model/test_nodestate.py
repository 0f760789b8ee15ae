"""Slurm's states of nodes: one word and its flags, whoever prints them and however."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.nodestate import in_words, numbered_state, parse_state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("mixed", ("mixed", ())),
        ("idle~", ("idle", ("powered_down",))),
        ("DOWN*", ("down", ("not_responding",))),
        ("mix+", ("mixed", ())),
        ("mix-", ("mixed", ("planned",))),
        ("MIXED$", ("mixed", ("maintenance",))),
        ("drng@*", ("draining", ("reboot_requested", "not_responding"))),
        ("alloc#", ("allocated", ("powering_up",))),
        ("idle%", ("idle", ("powering_down",))),
        ("idle!", ("idle", ("powering_down",))),
        ("reboot^", ("reboot", ("reboot_issued",))),
        ("drain", ("drained", ())),
        ("", ("", ())),
        ('x"y', ("", ())),
        ("*", ("", ())),
        ("|", ("", ())),
    ],
)
def test_sinfos_marks_are_flags_and_not_part_of_the_state(text: str, state: tuple[str, tuple[str, ...]]) -> None:
    assert parse_state(text) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("mix|drain", ("draining", ())),
        ("idle|drain", ("drained", ())),
        ("idle|powered_down", ("idle", ("powered_down",))),
        ("down|not_responding", ("down", ("not_responding",))),
        ("DOWN*+DRAIN", ("down", ("drain", "not_responding"))),
        ("MIXED+DRAIN", ("draining", ())),
        ("IDLE+CLOUD+POWERED_DOWN", ("idle", ("cloud", "powered_down"))),
        ("IDLE,DRAIN", ("drained", ())),
        ("alloc&drain", ("draining", ())),
        ("ALLOCATED+COMPLETING", ("allocated", ("completing",))),
        ("MIXED+COMPLETING", ("completing", ())),
        ("IDLE+MAINTENANCE+RESERVED", ("maintenance", ("reserved",))),
        ("idle+planned", ("planned", ())),
        ("mixed+fail", ("failing", ())),
        ("idle|", ("idle", ())),
        ("|idle||", ("idle", ())),
        ('idle|x"y', ("idle", ())),
    ],
)
def test_states_joined_by_any_sign_have_sinfos_word(text: str, state: tuple[str, tuple[str, ...]]) -> None:
    assert parse_state(text) == state


@given(st.text())
def test_no_text_makes_a_state_with_marks(text: str) -> None:
    word, flags = parse_state(text)
    assert not set(word) & set("*~#!%$@^+|&,")
    assert "" not in flags


@given(st.lists(st.sampled_from(["idle", "mixed", "down", "drain", "powered_down", "x"]), min_size=1), st.booleans())
def test_a_node_with_a_state_never_loses_it(states: list[str], busy: bool) -> None:
    word, flags = in_words(states, busy=busy)
    assert word
    assert word not in flags


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (0x1, ("down",)),
        (0x201, ("down", "drain")),
        (0x202, ("idle", "drain")),
        (0x80000201, ("down", "drain")),
        (0x10000 | 0x200 | 0x3, ("allocated", "drain", "reboot_requested")),
        (0, ()),
        (0x800000000, ()),
    ],
)
def test_slurmdbds_numbers_have_the_same_words_and_unknown_bits_none(number: int, names: tuple[str, ...]) -> None:
    assert numbered_state(number) == names
