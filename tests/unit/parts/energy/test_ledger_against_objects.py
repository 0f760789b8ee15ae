"""The ledger in frames against the ledger in objects: every total of a random site is the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.parts.energy.frames import (
    NODE_POWER,
    NODE_TOTALS,
    RUN_COSTS,
    RUN_POWER,
    RUN_TOTALS,
    USER_COSTS,
    USER_TOTALS,
)
from tests.unit.parts.energy.ledger_objects import (
    book,
    cost_rows,
    node_power_rows,
    node_rows,
    run_power_rows,
    run_rows,
    user_rows,
)
from tests.unit.parts.energy.ledger_site import Site, rows_of, sites

Rows = dict[Any, dict[str, Any]]
# Of joules that are the difference of larger ones: a billionth of the smallest node's.
_ROUNDING = 1e-6


def same(ours: Rows, theirs: Rows) -> None:
    assert ours.keys() == theirs.keys()
    for key, row in theirs.items():
        assert ours[key] == {name: _nearly(value) for name, value in row.items()}, key


def _nearly(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=_ROUNDING) if isinstance(value, float) else value


@settings(max_examples=30, deadline=None)
@given(site=sites(), cut=st.integers(0, 4))
def test_all_totals_are_those_of_the_objects(site: Site, cut: int) -> None:
    ours, theirs = site.totals(min(cut, site.windows)), book(site).ledger()

    assert ours.window_end == theirs.window_end
    same(rows_of(RUN_TOTALS, ours.runs), run_rows(theirs))
    same(rows_of(RUN_COSTS, ours.run_costs), cost_rows({run_id: run.cost for run_id, run in theirs.runs.items()}))
    same(rows_of(USER_TOTALS, ours.users), user_rows(theirs))
    same(rows_of(USER_COSTS, ours.user_costs), cost_rows({key: user.cost for key, user in theirs.users.items()}))
    same(rows_of(NODE_TOTALS, ours.nodes), node_rows(theirs))


@settings(max_examples=12, deadline=None)
@given(site=sites())
def test_the_power_of_the_last_window_is_that_of_the_objects(site: Site) -> None:
    ours, theirs = site.gains(), book(site).power

    same(rows_of(RUN_POWER, ours.run_power), run_power_rows(theirs))
    same(rows_of(NODE_POWER, ours.node_power), node_power_rows(theirs))
