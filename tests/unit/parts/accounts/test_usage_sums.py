"""What jobs have used since the last roll-up, whose it is, and what is not known."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.calendar import DAY, HOUR, Calendar, Rolled
from aggregator.model.job_inputs import runs_of
from aggregator.model.run_usage import used_between
from aggregator.model.tres import Allocation
from aggregator.model.usage import (
    ASSOCIATION_SECONDS,
    CLUSTER_SECONDS,
    MAX_TAIL_SECONDS,
    Usage,
    UsageCatalog,
    UsageSums,
)
from aggregator.parts.accounts.usage import sum_usage
from aggregator.queries.usage_points import points_of, tail_of, with_below
from tests.builders import make_run

MIDNIGHT = 1_700_006_400.0 - 1_700_006_400 % DAY
NOON = MIDNIGHT + 12 * HOUR
HELD = Allocation(4, 2**30, 2, {"a100": 1, "": 2}, billing=9)
PARENTS = {"root": "", "kim": "root", "kim_a": "kim", "gone": "kim"}
CATALOG = UsageCatalog(
    {1: ("alice", "kim"), 2: ("bob", "kim_a"), 3: ("bob", "gone")}, PARENTS, frozenset({"root", "kim", "kim_a"}),
    {1: "cpu", 9: "license/x"}, Calendar(), {"hour": MIDNIGHT, "day": MIDNIGHT, "month": MIDNIGHT},
)  # fmt: skip


def make_reading(**changes: object) -> Usage:
    usage = Usage(
        NOON, CATALOG, Rolled(NOON, MIDNIGHT, MIDNIGHT), NOON - 600, {"1d": NOON - DAY, "30d": NOON - 30 * DAY},
        rolled(("1d", 1, "cpu", 10.0), ("30d", 1, "cpu", 100.0), ("30d", 2, "cpu", 5.0), ("30d", 3, "cpu", 1.0)),
        pl.DataFrame([("1d", "cpu", "idle", 7.0)], schema=CLUSTER_SECONDS, orient="row"),
    )  # fmt: skip
    return replace(usage, **changes)


def rolled(*rows: tuple[str, int, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ASSOCIATION_SECONDS, orient="row")


def used_by(run: Run, begin: float, end: float) -> dict[str, float]:
    """Give what a run has used by TRES."""
    return dict(used_between(runs_of([run]), begin, end).select("tres", "seconds").iter_rows())


def by_owner(frame: pl.DataFrame) -> dict[tuple[str, ...], dict[tuple[str, str], float]]:
    """Give (TRES, window) → seconds by owner."""
    found: dict[tuple[str, ...], dict[tuple[str, str], float]] = {}
    for *owner, tres, window, seconds in frame.iter_rows():
        found.setdefault(tuple(owner), {})[tres, window] = seconds
    return found


def sum_up(usage: Usage, *runs: Run) -> UsageSums:
    sums = sum_usage(usage, runs_of(runs))
    assert sums is not None
    return sums


def test_a_job_uses_what_it_holds_while_it_runs_every_gpu_once() -> None:
    run = make_run(start=NOON - 100, allocated=HELD)

    assert used_by(run, NOON - 50, NOON) == {
        "cpu": 200.0, "mem": 50.0 * 2**30, "node": 100.0, "billing": 450.0, "gres/gpu": 150.0, "gres/gpu:a100": 50.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (NOON, None), (NOON - 90, NOON - 50), (NOON + 5, NOON + 9), (NOON - 1, NOON - 9)]
)
def test_a_job_that_did_not_run_then_uses_nothing(start: float | None, end: float | None) -> None:
    assert used_by(make_run(start=start, end=end, allocated=HELD), NOON - 50, NOON) == {}


def test_suspension_stops_the_cpus_only() -> None:
    run = make_run(start=NOON - 100, state=JobState.SUSPENDED, suspended_seconds=20.0, allocated=HELD)
    used = used_by(run, NOON - 50, NOON)

    assert (used["cpu"], used["node"]) == (4 * 30.0, 100.0)
    long_ago = used_by(replace(run, state=JobState.RUNNING), NOON - 50, NOON)
    assert long_ago["cpu"] == 200.0, "when an earlier suspension was is not known"


@given(st.integers(0, 9000), st.integers(1, 9000), st.integers(0, 9000), st.integers(1, 9000))
def test_the_tails_of_two_spans_are_the_tail_of_both(start: int, length: int, begin: int, span: int) -> None:
    run = make_run(start=NOON + start, end=NOON + start + length, allocated=HELD)
    edges = NOON + begin, NOON + begin + span / 2, NOON + begin + span
    whole = tail_of(runs_of([run]), edges[0], edges[2], "hour", Calendar())
    parts = [tail_of(runs_of([run]), first, last, "hour", Calendar()) for first, last in (edges[:2], edges[1:])]

    assert sum(whole.values()) == pytest.approx(sum(sum(part.values()) for part in parts))


def test_an_account_has_its_children_and_no_others_and_a_loop_does_no_harm() -> None:
    assert with_below("kim", PARENTS) == {"kim", "kim_a", "gone"}
    assert with_below("kim_a", PARENTS) == {"kim_a"}
    assert with_below("a", {"a": "b", "b": "a"}) == {"a", "b"}


def test_accounts_add_up_over_the_tree_with_the_jobs_tail_and_deleted_accounts() -> None:
    run = make_run(user="bob", account="kim_a", start=NOON - 300, allocated=Allocation(cpus=2))
    sums = sum_up(make_reading(), run)

    accounts = by_owner(sums.accounts)
    assert accounts["kim_a",] == {("cpu", "1d"): 600.0, ("cpu", "30d"): 605.0}
    assert accounts["kim",] == accounts["root",] == {("cpu", "1d"): 610.0, ("cpu", "30d"): 706.0}
    assert by_owner(sums.users) == {
        ("gone", "bob"): {("cpu", "30d"): 1.0},
        ("kim", "alice"): {("cpu", "30d"): 100.0},
        ("kim_a", "bob"): {("cpu", "30d"): 605.0},
    }
    assert sums.cluster.rows() == [("1d", "cpu", "idle", 7.0)]


def test_a_run_that_has_ended_since_the_snapshot_counts_once_and_until_its_end() -> None:
    run = make_run(user="alice", account="kim", start=NOON - 300, allocated=Allocation(cpus=1))
    sums = sum_up(make_reading(ended=runs_of([replace(run, end=NOON - 200)])), run)

    assert by_owner(sums.accounts)["root",]["cpu", "1d"] == 110.0


def test_an_account_that_used_nothing_has_zero_in_the_rolled_range() -> None:
    sums = sum_up(make_reading(associations=rolled()))

    assert set(sums.accounts["account"]) == CATALOG.live_accounts
    assert set(sums.accounts["seconds"]) == {0.0}
    assert sums.users.is_empty()


@pytest.mark.parametrize(
    "changes",
    [{"catalog": None}, {"catalog": replace(CATALOG, first={})}, {"until": NOON - MAX_TAIL_SECONDS - 1}],
    ids=["not granted", "nothing rolled up", "far behind"],
)
def test_what_is_not_known_is_not_shown(changes: dict[str, object]) -> None:
    assert sum_usage(make_reading(**changes), runs_of([])) is None


def test_a_window_that_begins_after_the_last_roll_up_is_not_known() -> None:
    sums = sum_up(make_reading(windows={"1d": NOON - DAY, "fiscal_year": NOON - 60}))

    assert set(sums.accounts["window"]) == {"1d"}


def test_missing_is_zero_in_the_rolled_range_and_absent_around_it() -> None:
    starts = [MIDNIGHT + hour * HOUR for hour in range(-2, 5)]
    rows = {("cpu", MIDNIGHT + HOUR): 5.0, ("other", MIDNIGHT): 9.0}
    points = points_of("cpu", rows, MIDNIGHT + 2 * HOUR, starts, "hour", CATALOG, None)

    assert [(point.start, point.seconds, point.final) for point in points] == [
        (MIDNIGHT, 0.0, True), (MIDNIGHT + HOUR, 5.0, True),
    ]  # fmt: skip


def test_a_period_that_is_rolled_up_in_part_has_its_tail_and_is_not_final() -> None:
    tail = {("cpu", MIDNIGHT): 3.0}
    (point,) = points_of("cpu", {("cpu", MIDNIGHT): 5.0}, MIDNIGHT + HOUR, [MIDNIGHT], "day", CATALOG, tail)

    assert (point.seconds, point.final) == (8.0, False)


PAIRS = {1: ("alice", "root"), 2: ("bob", "kim"), 3: ("bob", "kim_a"), 4: ("eve", "gone")}


@given(st.lists(st.tuples(st.sampled_from(sorted(PAIRS)), st.integers(0, 10**12)), max_size=9))
def test_an_account_is_the_sum_of_its_users_and_of_the_accounts_below(rows: list[tuple[int, int]]) -> None:
    catalog = replace(CATALOG, associations=PAIRS, live_accounts=frozenset(PARENTS))
    found = rolled(*(("30d", number, "cpu", float(seconds)) for number, seconds in rows))
    sums = sum_up(make_reading(catalog=catalog, associations=found))

    accounts, users = by_owner(sums.accounts), by_owner(sums.users)
    for account in PARENTS:
        own = sum(each["cpu", "30d"] for (of, _), each in users.items() if of == account)
        below = sum(accounts[name,]["cpu", "30d"] for name, parent in PARENTS.items() if parent == account)
        assert accounts[account,]["cpu", "30d"] == pytest.approx(own + below)


def test_a_window_that_begins_with_the_last_roll_up_has_what_jobs_have_used_since() -> None:
    windows = {"now": NOON - 600, "next": NOON - 599}
    run = make_run(start=NOON - 3600, allocated=HELD, user="alice", account="kim")
    used = by_owner(sum_up(make_reading(windows=windows), run).accounts)["kim",]
    assert used["cpu", "now"] == 4 * 600.0
    assert ("cpu", "next") not in used, "of which nothing is known yet"
