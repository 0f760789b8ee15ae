"""Shares ÷ level shares, as Fair Tree takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.association import Association, Associations
from tests.accounts import join_part
from tests.builders import make_association
from tests.standings import join_standings


def ratios(*rows: Association) -> dict[str, float]:
    found = join_standings(Associations.of(rows)).by_key
    return {user or account: each.shares_ratio for (account, user, _), each in found.items() if each.shares_ratio}


ROOT = make_association("root")


def test_accounts_and_users_below_one_parent_share_its_level() -> None:
    found = ratios(
        ROOT, make_association("a", shares=3), make_association("b", shares=6), make_association("root", "op"),
        make_association("a", "alice", shares=10), make_association("a", "bob", shares=30),
    )  # fmt: skip
    assert found == {"a": 0.3, "b": 0.6, "op": 0.1, "alice": 0.25, "bob": 0.75}


def test_the_children_of_an_account_with_parent_compete_beside_it() -> None:
    found = ratios(
        ROOT, make_association("a", shares=1), make_association("through", shares=None),
        make_association("below", parent="through", shares=3), make_association("below", "x", shares=4),
    )  # fmt: skip
    assert found == {"a": 0.25, "below": 0.75, "x": 1.0}, "the root is in no level"


def test_a_user_with_parent_has_the_accounts_part_and_takes_none() -> None:
    found = ratios(
        ROOT, make_association("a", shares=1), make_association("b", shares=3),
        make_association("a", "alice", shares=None), make_association("a", "bob", shares=5),
    )  # fmt: skip
    assert found == {"a": 0.25, "b": 0.75, "alice": 0.25, "bob": 1.0}


def test_a_level_without_shares_has_no_ratio() -> None:
    assert ratios(ROOT, make_association("a", shares=0), make_association("a", "x")) == {"x": 1.0}
    assert ratios() == {}


def test_a_loop_has_no_ratio_and_ends() -> None:
    loop = [make_association("a", parent="b"), make_association("b", parent="a", shares=None)]
    assert ratios(ROOT, *loop) == {}


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_the_ratios_of_a_level_add_up_to_one(shares: list[int]) -> None:
    found = ratios(ROOT, *(make_association(f"a{n}", id=n, shares=each) for n, each in enumerate(shares)))
    assert sum(found.values()) == (pytest.approx(1.0) if any(shares) else 0)


def test_of_two_live_rows_of_one_account_the_last_counts() -> None:
    rows = [make_association("root"), make_association(id=1, shares=1), make_association(id=2, shares=3)]
    frames = join_part(Associations.of(rows))
    assert frames["account_tree"].select("account", "association_id", "shares").rows()[0] == ("def-kim", 2, 3)
