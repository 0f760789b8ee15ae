"""Fair Tree: shares and usage of each association beside those of its level."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.association import Association, Associations, Qos
from aggregator.model.usage import LeftUsage
from aggregator.parts.accounts.shares import APPROXIMATION, EXPORTER, counts_whole
from tests.accounts import make_left
from tests.builders import HOSTILE_NAMES, NOW, make_association
from tests.standings import Fairshare, join_standings

ROOT = make_association("root")
KIM, LEE = make_association("def-kim", shares=30), make_association("def-lee", shares=10)
SUB = make_association("sub", parent="def-kim", shares=None)
ALICE, BOB = make_association("def-kim", "alice"), make_association("def-kim", "bob", shares=3)
CAROL = make_association("sub", "carol", shares=4)
EVERY = (ROOT, KIM, LEE, SUB, ALICE, BOB, CAROL)


def raw(accounts: dict[str, float], users: dict[int, float]) -> LeftUsage:
    return make_left(
        {"billing"},
        {number: {"billing": used} for number, used in users.items()},
        {account: {"billing": used} for account, used in accounts.items()},
    )


USED = raw({"root": 1000.0, "def-kim": 900.0, "def-lee": 100.0, "sub": 300.0}, {BOB.id: 600.0, CAROL.id: 300.0})


def shown(
    used: LeftUsage | None, levels: dict[str, float] | None = None, rows: tuple[Association, ...] = EVERY
) -> dict[int, Fairshare]:
    found = join_standings(Associations.of(rows), (), NOW, used, levels).by_key
    return {row.id: found[row.account, row.user, row.partition].fairshare for row in rows}


def test_the_level_is_the_part_of_the_shares_by_the_part_of_the_usage() -> None:
    found = shown(USED)
    assert found[KIM.id] == Fairshare(0.9, pytest.approx(0.75 / 0.9), APPROXIMATION)
    assert found[LEE.id] == Fairshare(0.1, pytest.approx(0.25 / 0.1), APPROXIMATION)
    assert found[BOB.id] == Fairshare(600 / 900, pytest.approx(3 / 8 / (600 / 900)), APPROXIMATION)


def test_below_an_account_with_parent_it_is_that_of_the_account_above() -> None:
    """Its users compete with those of the account above; itself has no level."""
    found = shown(USED)
    assert found[SUB.id] == Fairshare(300 / 900)
    assert found[CAROL.id] == Fairshare(300 / 900, pytest.approx(4 / 8 / (300 / 900)), APPROXIMATION)


def test_who_has_used_nothing_is_infinitely_under_served_which_is_no_number() -> None:
    assert shown(USED)[ALICE.id] == Fairshare(0.0, None, APPROXIMATION)
    idle = shown(raw({}, {}))
    assert {found.usage_ratio for number, found in idle.items() if number != ROOT.id} == {0.0}
    assert {found.level for found in idle.values()} == {None}


def test_without_shares_the_level_is_0_whatever_was_used() -> None:
    none = make_association("def-kim", "eve", shares=0)
    assert shown(USED, rows=(*EVERY, none))[none.id] == Fairshare(0.0, 0.0, APPROXIMATION)


def test_a_user_with_parent_comes_first_of_all_and_the_root_is_in_no_level() -> None:
    first = make_association("def-kim", "eve", shares=None)
    found = shown(raw({"root": 10.0, "def-kim": 10.0}, {first.id: 5.0}), rows=(*EVERY, first))
    assert found[first.id] == Fairshare(0.5)
    assert found[ROOT.id] == Fairshare()


def test_what_slurmctld_says_of_an_account_wins_and_is_said_to_be_its() -> None:
    found = shown(USED, {"def-kim": 0.25, "def-lee": float("inf"), "unknown": 3.0, "alice": 9.0})
    assert found[KIM.id] == Fairshare(0.9, 0.25, EXPORTER)
    assert found[LEE.id] == Fairshare(0.1, None, EXPORTER), "infinity is not replaced by a guess"
    assert found[BOB.id].source == APPROXIMATION
    assert shown(None, {"def-kim": 0.25})[KIM.id] == Fairshare(None, 0.25, EXPORTER)


def test_without_decayed_usage_nothing_is_known() -> None:
    assert set(shown(None).values()) == {Fairshare()}
    assert set(shown(make_left({"cpu"}, {}, {})).values()) == {Fairshare()}, "billing was not read"


def test_a_tree_that_loops_has_no_end_but_an_answer() -> None:
    loop = (make_association("a", parent="b", shares=None), make_association("b", parent="a", shares=None))
    user = make_association("a", "u")
    assert shown(USED, rows=(*loop, user)).keys() == {row.id for row in (*loop, user)}


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10**9)), min_size=1, max_size=8))
def test_usage_ratios_of_a_level_add_up_to_1_and_levels_sort_by_shares_per_usage(level: list[tuple[int, int]]) -> None:
    users = [
        make_association("def-kim", name, shares=shares)
        for name, (shares, _) in zip(HOSTILE_NAMES, level, strict=False)
    ]
    used = {user.id: float(amount) for user, (_, amount) in zip(users, level, strict=False)}
    whole = sum(used.values())
    found = shown(raw({"def-kim": whole, "root": whole}, used), rows=(ROOT, KIM, *users))
    assert sum(found[user.id].usage_ratio or 0.0 for user in users) == pytest.approx(1.0 if whole else 0.0)
    known = [user for user in users if found[user.id].level is not None and used[user.id]]
    by_level = sorted(known, key=lambda user: found[user.id].level or 0.0)
    rates = [(user.shares or 0) / used[user.id] for user in by_level]
    assert rates == pytest.approx(sorted(rates))


def test_another_usage_factor_that_anybody_may_use_is_not_told_from_the_roll_ups() -> None:
    qos = {1: Qos("normal"), 2: Qos("scavenger", usage_factor=0.0)}
    root = make_association("root", qos=frozenset({1}))
    assert counts_whole(Associations.of((root, KIM), qos))
    eve = make_association("def-kim", "eve", added_qos=frozenset({2}))
    assert not counts_whole(Associations.of((root, eve), qos))
    assert counts_whole(Associations.of())
    assert not counts_whole(Associations.of((root,))), "the table of QOS may not be read"
    deleted = make_association("root", qos=frozenset({9}))
    assert counts_whole(Associations.of((deleted,), qos)), "a QOS that is deleted"
