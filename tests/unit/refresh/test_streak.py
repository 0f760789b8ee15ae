"""A failure is said once and counted, and what fails is asked less and less often."""

import logging
from itertools import pairwise

import pytest
from fakes import Outcomes

from aggregator.refresh.streak import Backoff, Streak
from aggregator.sources.base import FetchError
from tests.builders import NOW


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def asked(interval: float, seconds: int) -> list[int]:
    """Give the seconds at which a source that always fails is asked, by a loop that comes round each second."""
    clock = Clock()
    backoff = Backoff(interval, clock)
    found = []
    for second in range(seconds):
        clock.now = 1000.0 + second
        if backoff.is_due and second % interval == 0:
            found.append(second)
            backoff.note(failed=True)
    return found


def test_what_fails_is_asked_less_and_less_often_up_to_five_intervals() -> None:
    found = asked(10.0, 400)
    pauses = [later - earlier for earlier, later in pairwise(found)]
    assert (pauses[0], pauses[1], pauses[2]) == (10, 20, 40)
    assert set(pauses[3:]) <= {40, 50}


def test_what_is_asked_rarely_is_asked_at_each_interval() -> None:
    assert asked(300.0, 1500) == [0, 300, 600, 900, 1200]


def test_what_works_is_asked_at_once() -> None:
    clock = Clock()
    backoff = Backoff(10.0, clock)
    for failed in (True, True, True, False):
        backoff.note(failed)
    assert backoff.is_due


def test_pauses_are_not_the_same_for_all() -> None:
    clock = Clock()
    dues = set()
    for _ in range(20):
        backoff = Backoff(10.0, clock)
        for _ in range(4):
            backoff.note(failed=True)
        dues.add(backoff._due)
        assert 32.0 <= backoff._due - clock.now <= 50.0
    assert len(dues) > 10


def test_failures_with_two_texts_are_one_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    streak = Streak(logging.getLogger("x"), "fetch", "source=a scope=b")
    for text in ("", "one", "two", "one", "", "", "one"):
        streak.note(text)
    assert [record.getMessage() for record in caplog.records] == [
        "fetch succeeded: source=a scope=b failures=0",
        "fetch failed: source=a scope=b error=one",
        "fetch succeeded: source=a scope=b failures=3",
        "fetch failed: source=a scope=b error=one",
    ]


async def test_a_source_that_is_not_asked_keeps_its_last_good_data_and_its_status(outcomes: Outcomes) -> None:
    feed = outcomes.feed("good", FetchError("a"), FetchError("b"), interval=3600.0)
    for at in (NOW, NOW + 1, NOW + 2):
        assert await feed.fetch(at) == "good"
    told = len(outcomes.statuses)
    assert await feed.fetch(NOW + 3) == "good"
    assert await feed.fetch(NOW + 301) is None
    assert len(outcomes.statuses) == told
