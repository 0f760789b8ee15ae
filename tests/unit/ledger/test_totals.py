"""What is added up over windows, and how the state keeps it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aggregator.ledger.stored import from_rows, to_rows
from aggregator.ledger.totals import KEEP_ENDED_SECONDS, add, no_totals
from aggregator.model.ledger import LedgerTotals
from tests.unit.ledger.ledger_site import BEGIN, PRICES, Site, node_row, run_row, sites, used_row

FRAMES = ("runs", "run_costs", "users", "user_costs", "nodes")
SITE = Site(2, (run_row(),), (node_row(), node_row(1)), (used_row(), used_row(1)))


def same(ours: LedgerTotals, theirs: LedgerTotals, **tolerance: Any) -> None:
    assert ours.window_end == theirs.window_end
    for name in FRAMES:
        assert_frame_equal(getattr(ours, name), getattr(theirs, name), check_row_order=False, **tolerance)


def stored(totals: LedgerTotals, since: float = 0.0) -> LedgerTotals:
    """Write totals and read them."""
    return from_rows(totals.window_end, *(rows.drop("until").rows() for rows in to_rows(totals, since)))


def test_users_and_nodes_gain_what_runs_gain() -> None:
    totals = SITE.totals()

    assert totals.users.row(0)[:5] == ("alice", "def-kim", BEGIN + 120, pytest.approx(18_000), pytest.approx(0.18))
    assert totals.nodes.row(0)[:5] == ("n1", BEGIN + 120, pytest.approx(18_000), pytest.approx(6_000), 0.0)
    assert totals.window_end == BEGIN + 120


def test_a_run_keeps_its_beginning_and_moves_its_end() -> None:
    assert SITE.totals(1).runs.select("since", "until").row(0) == (BEGIN, BEGIN + 120)


def test_the_best_meter_of_a_node_is_remembered() -> None:
    nodes = replace(SITE, nodes=(node_row(), node_row(1, meter="rapl"))).totals(1).nodes

    assert nodes.select("meter", "power_seconds", "fallback_seconds").row(0) == ("redfish", 60.0, 60.0)


def test_a_user_has_the_runs_of_an_account_and_until_when_they_ran() -> None:
    runs = (run_row(1), run_row(2, end=BEGIN + 5), run_row(3, user="bob", end=BEGIN + 90))
    users = replace(SITE, runs=runs).totals().users

    assert {(row["user"], row["until"]) for row in users.to_dicts()} == {("alice", BEGIN + 120), ("bob", BEGIN + 120)}
    assert users["joules"].sum() == pytest.approx(replace(SITE, runs=runs).totals().runs["two_part_joules"].sum())


def test_what_is_not_known_adds_nothing_and_stays_unknown() -> None:
    nothing = replace(SITE, nodes=()).totals()
    half = replace(SITE, nodes=(node_row(),)).totals(1)

    assert (nothing.runs["two_part_joules"][0], nothing.users["joules"][0]) == (None, None)
    assert half.users["joules"].to_list() == pytest.approx([9_000.0])


def test_amounts_in_two_currencies_are_two_amounts() -> None:
    first = add(no_totals(BEGIN), SITE.gains(None, 0, 1))
    euros = replace(SITE, prices=replace(PRICES, currency="EUR"))
    costs = add(first, euros.gains(first, 1, 2)).user_costs

    assert dict(costs.select("currency", "electricity_cost").iter_rows()) == pytest.approx(
        dict.fromkeys(("CAD", "EUR"), 9_000.0 / 3.6e6 * 1.2 * 0.1)
    )


def test_runs_that_ended_long_ago_are_left_out_and_users_keep_theirs() -> None:
    before = replace(SITE, runs=(run_row(7, end=BEGIN + 30), run_row(8))).totals()
    later = replace(before, window_end=BEGIN + KEEP_ENDED_SECONDS)
    gained = replace(SITE, runs=(run_row(8),)).gains(later, 0, 1)
    at_most = add(later, replace(gained, window_end=BEGIN + 30 + KEEP_ENDED_SECONDS))
    after = add(later, replace(gained, window_end=BEGIN + 31 + KEEP_ENDED_SECONDS))

    assert (set(at_most.runs["run_id"]), set(after.runs["run_id"])) == ({7, 8}, {8})
    assert set(after.run_costs["run_id"]) == {8}
    assert after.users["joules"][0] > before.users["joules"][0]


def test_the_totals_that_were_given_stay_as_they_are() -> None:
    before = SITE.totals()
    kept = {name: getattr(before, name).clone() for name in FRAMES}
    add(before, SITE.gains(before))

    for name, frame in kept.items():
        assert_frame_equal(getattr(before, name), frame)


@settings(max_examples=settings.default.max_examples // 4)
@given(site=sites(), cut=st.integers(0, 4))
def test_totals_do_not_depend_on_where_the_service_was_stopped(site: Site, cut: int) -> None:
    """Windows added in one go, or in two with a restart between them, give the same totals."""
    cut = min(cut, site.windows)
    before = Site.totals(replace(site, windows=cut)) if cut else no_totals(BEGIN)
    after = add(stored(before), site.gains(stored(before), cut)) if cut < site.windows else stored(before)

    same(after, site.totals(), rel_tol=1e-9, abs_tol=1e-6)


@settings(max_examples=settings.default.max_examples // 4)
@given(site=sites())
def test_what_is_stored_is_read_back_to_the_last_bit(site: Site) -> None:
    totals = site.totals()

    same(stored(totals), totals, check_exact=True)


def test_hostile_names_are_stored_as_they_are() -> None:
    name = 'a"\\\n\u2028{é\x00'
    totals = replace(SITE, runs=(run_row(user=name),), prices=replace(PRICES, currency=name)).totals()

    same(stored(totals), totals, check_exact=True)


def test_only_what_new_windows_touched_is_written_and_in_the_order_of_keys() -> None:
    runs = (run_row(2**64 - 1, job_id=1), run_row(5), run_row(6, end=BEGIN + 60))
    written = to_rows(replace(SITE, runs=runs).totals(), BEGIN + 60)

    assert written[0]["run_id"].to_list() == [5, 2**64 - 1]
    assert [rows.columns for rows in written] == [
        ["run_id", "until", "totals"], ["user", "account", "until", "totals"], ["node", "until", "totals"],
    ]  # fmt: skip
    assert [len(rows) for rows in to_rows(replace(SITE, runs=runs).totals(), BEGIN + 120)] == [0, 0, 0]


def test_totals_are_read_as_far_as_they_are_known() -> None:
    row = {"since": 1, "until": 2, "moons": 3, "host_joules": {"usage": 4.5}, "cost": [["hardware", "CAD", 0.1]]}
    totals = from_rows(2.0, [(3, orjson.dumps(row).decode())], [], [("n1", '{"until":2,"joules":{"idle":1}}')])
    run = totals.runs.row(0, named=True)

    assert (run["usage_joules"], run["two_part_joules"], run["gpu_seconds"]) == (4.5, None, 0.0)
    assert totals.run_costs.rows() == [(3, "CAD", None, None, 0.1)]
    assert totals.nodes.row(0) == ("n1", 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, "rapl")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"since":1}', '{"since":"x","until":2}', '{"since":1,"until":2,"cost":3}',
     '{"since":1,"until":2,"cost":[["hardware","CAD"]]}', '{"since":1,"until":2,"cost":[["hardware","CAD","x"]]}',
     '{"since":1,"until":2,"cost":[["hardware",null,1]]}', '{"since":1,"until":2}\n{"since":1,"until":2}'],
)  # fmt: skip
def test_totals_that_cannot_be_read_are_an_error_that_names_the_run(text: str) -> None:
    """A ledger that silently began anew would make counters go back."""
    good = '{"since":1,"until":2}'

    with pytest.raises(ValueError, match="run 3: its totals cannot be read: "):
        from_rows(2.0, [(1, good), (3, text), (4, good)], [], [])


def test_an_empty_ledger_is_written_and_read() -> None:
    same(stored(no_totals(5.0)), no_totals(5.0))
