"""What is left of usage: rolled up, since then by the jobs, of every association and up the tree."""

from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.calendar import DAY, HOUR, Calendar
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import runs_of
from aggregator.model.usage import LEFT_SECONDS, DecayedUsage, LeftUsage, Usage, UsageCatalog
from aggregator.parts.accounts.usage import mean_weight, sum_usage
from tests.builders import HOSTILE_NAMES, NOW, make_allocation, make_run

PARENTS = {"root": "", "def-kim": "root", "sub": "def-kim", "gone": "sub", "def-lee": "root"}
PAIRS = {1: ("alice", "def-kim"), 2: ("carol", "sub"), 3: ("bob", "gone"), 4: (HOSTILE_NAMES[0], "def-lee")}
LIVE = frozenset(PARENTS) - {"gone"}
CATALOG = UsageCatalog(PAIRS, PARENTS, LIVE, {1: "cpu", 5: "billing"}, Calendar(), {"hour": 0.0})
UNTIL = NOW - 1800
WEEK = Decay(7 * DAY)
HELD = make_allocation(cpus=4, billing=10)


class Left:
    """What is left, TRES → seconds by association and by account."""

    def __init__(self, left: LeftUsage) -> None:
        self.tres = left.tres
        self.associations = self._by_owner(left.associations)
        self.accounts = self._by_owner(left.accounts)

    def _by_owner(self, frame: pl.DataFrame) -> dict[Any, dict[str, float]]:
        found: dict[Any, dict[str, float]] = {}
        for owner, tres, seconds in frame.iter_rows():
            found.setdefault(owner, {})[tres] = seconds
        return found


def make(
    associations: dict[tuple[int, str], float] | None = None, runs: tuple[Run, ...] = (), decay: Decay = WEEK,
    now: float = NOW, until: float = UNTIL,
) -> Left:  # fmt: skip
    found = left_of(read(associations or {}, decay, until), runs, now)
    assert found is not None
    return Left(found)


def read(associations: dict[tuple[int, str], float], decay: Decay, until: float) -> DecayedUsage:
    rows = [(*key, seconds) for key, seconds in associations.items()]
    frame = pl.DataFrame(rows, schema=LEFT_SECONDS, orient="row")
    return DecayedUsage(decay, NOW, 0.0, until, frozenset({"cpu", "billing"}), frame)


def left_of(decayed: DecayedUsage, runs: tuple[Run, ...], now: float) -> LeftUsage | None:
    sums = sum_usage(Usage(now, CATALOG, until=now, decayed=decayed), runs_of(runs))
    return sums.left if sums else None


def test_an_accounts_usage_is_its_own_and_that_of_all_below_also_of_deleted_ones() -> None:
    found = make({(1, "billing"): 100.0, (2, "billing"): 20.0, (3, "billing"): 3.0, (1, "cpu"): 7.0})
    assert {account: sums["billing"] for account, sums in found.accounts.items()} == {
        "def-kim": 123.0, "sub": 23.0, "gone": 3.0, "root": 123.0,
    }  # fmt: skip
    assert found.associations[1]["cpu"] == 7.0


def test_jobs_add_what_they_have_used_since_the_roll_up() -> None:
    running = make_run(allocated=HELD, association_id=1)
    ended = make_run(
        run_id=2, allocated=HELD, user="carol", account="sub", start=NOW - 900, end=NOW - 300, state=JobState.COMPLETED,
        association_id=None,
    )  # fmt: skip
    waiting = make_run(run_id=3, state=JobState.PENDING, start=None, allocated=HELD, association_id=1)
    found = make({(1, "billing"): 100.0}, (running, ended, waiting), Decay(0.0))
    assert found.associations[1] == {"billing": 100.0 + 10 * 1800, "cpu": 4.0 * 1800}
    assert found.associations[2] == {"billing": 10.0 * 600, "cpu": 4.0 * 600}, "by its user and account"
    assert found.accounts["root"]["billing"] == 100.0 + 10 * 1800 + 10 * 600


def test_what_a_job_has_used_since_the_roll_up_fades_from_then_on() -> None:
    """It began an hour ago, and half an hour is rolled up."""
    decay = Decay(HOUR)
    found = make({}, (make_run(allocated=HELD, association_id=1),), decay)
    assert found.associations[1]["cpu"] == pytest.approx(4 * 1800 * decay.mean_weight(UNTIL, NOW, NOW), rel=1e-9)


def test_a_job_of_an_unknown_association_counts_for_its_account() -> None:
    found = make({}, (make_run(allocated=HELD, user="nobody", association_id=None),), Decay(0.0))
    assert found.associations == {}
    assert found.accounts["root"] == found.accounts["def-kim"] == {"billing": 18_000.0, "cpu": 7200.0}


def test_between_two_readings_usage_goes_on_to_fade() -> None:
    decay = Decay(DAY)
    before, after = make({(1, "cpu"): 100.0}, decay=decay), make({(1, "cpu"): 100.0}, decay=decay, now=NOW + HOUR)
    assert after.accounts["root"]["cpu"] / before.accounts["root"]["cpu"] == pytest.approx(0.5 ** (1 / 24))


def test_nothing_is_known_when_slurmdbd_has_long_ceased_to_roll_up() -> None:
    assert left_of(read({(1, "cpu"): 5.0}, Decay(), NOW - 4 * HOUR), (), NOW) is None


def test_an_association_that_was_removed_since_is_left_out() -> None:
    assert make({(99, "cpu"): 5.0}).accounts == {}


def test_no_usage_at_all_is_no_error() -> None:
    found = make()
    assert (found.tres, found.associations, found.accounts) == ({"cpu", "billing"}, {}, {})


AMOUNTS = st.dictionaries(st.tuples(st.sampled_from(sorted(PAIRS)), st.just("billing")), st.integers(0, 10**12))
RUNS = st.lists(st.tuples(st.sampled_from(sorted(PAIRS)), st.integers(0, 7200), st.integers(0, 7200)), max_size=6)


@given(AMOUNTS, RUNS, st.sampled_from([0.0, DAY, 7 * DAY]))
def test_an_account_is_the_sum_of_its_users_and_of_the_accounts_below(
    amounts: dict[tuple[int, str], int], spans: list[tuple[int, int, int]], half_life: float
) -> None:
    runs = tuple(
        make_run(
            run_id=number, user=PAIRS[id_assoc][0], account=PAIRS[id_assoc][1], association_id=id_assoc, allocated=HELD,
            start=NOW - age, end=NOW - age + length, state=JobState.COMPLETED,
        )
        for number, (id_assoc, age, length) in enumerate(spans)
    )  # fmt: skip
    found = make({key: float(amount) for key, amount in amounts.items()}, runs, Decay(half_life))
    for account in PARENTS:
        users = [found.associations.get(number, {}) for number, (_, of) in PAIRS.items() if of == account]
        below = [found.accounts.get(name, {}) for name, parent in PARENTS.items() if parent == account]
        whole = found.accounts.get(account, {}).get("billing", 0.0)
        assert whole == pytest.approx(sum(sums.get("billing", 0.0) for sums in (*users, *below)))


@example(age=0.0, length=9.029583048967119e-07, half_life=3600.0)
@given(st.floats(0, 7200), st.floats(0, 7200), st.sampled_from([0.0, 3600.0, 7 * DAY]))
def test_spread_evenly_usage_fades_as_the_model_of_decay_says(age: float, length: float, half_life: float) -> None:
    decay, begin = Decay(half_life), NOW - 20_000
    end = min(begin + length, NOW - age)
    weight = pl.select(mean_weight(decay, pl.lit(begin), pl.lit(end), NOW)).item()
    assert weight == pytest.approx(decay.mean_weight(begin, end, NOW), rel=1e-6)
