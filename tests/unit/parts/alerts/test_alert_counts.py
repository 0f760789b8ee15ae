"""How often people were told of whose waste: from the state to the page, and never less."""

import asyncio
from collections.abc import Iterable

import polars as pl
import pytest

from aggregator.engine.part import Inputs
from aggregator.model.alert import ALERT_COUNTS, AlertCounts
from aggregator.parts.alerts.join import join_alerts
from aggregator.parts.energy.join import QUIET_SECONDS
from aggregator.refresh import alerts
from aggregator.refresh.alerts import AlertFeed
from aggregator.state import StateError
from tests.builders import NOW
from tests.clusters import join_cluster

Told = tuple[str, str, str, int, float]


def counts(*told: Told, revision: str = "1") -> AlertCounts:
    return AlertCounts(revision, pl.DataFrame(told, schema=ALERT_COUNTS, orient="row"))


def shown(known: AlertCounts, at: float = NOW) -> list[tuple[object, ...]]:
    return join_cluster([], None, known, at=at)["user_alerts"].rows()


def test_a_user_who_was_told_of_is_shown_without_any_job() -> None:
    told = counts(("bob", "", "", 1, NOW), ("alice", "b", "r", 7, NOW - 9), ("alice", "a", "r", 2**40, NOW))
    assert shown(told) == [("bob", "", "", 1), ("alice", "a", "r", 2**40), ("alice", "b", "r", 7)]


def test_a_user_falls_silent_after_30_days_and_comes_back_with_all_that_was() -> None:
    told = counts(("alice", "a", "r", 7, NOW))
    assert shown(told, NOW + QUIET_SECONDS) == [("alice", "a", "r", 7)]
    assert shown(told, NOW + QUIET_SECONDS + 1) == []


def test_without_a_state_nothing_is_known() -> None:
    assert join_alerts({}, Inputs(), NOW) == {}


class Counter:
    """A state with some counts, that fails, or hangs."""

    def __init__(self, outcomes: Iterable[AlertCounts | Exception | None]) -> None:
        self.outcomes = iter(outcomes)

    async def counts(self, cluster: str, known: AlertCounts | None) -> AlertCounts:
        outcome = next(self.outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None:
            await asyncio.Event().wait()
        assert outcome
        return outcome


async def test_while_the_state_fails_or_hangs_the_last_counts_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "READ_SECONDS", 0.01)
    first, second = counts(("a", "b", "r", 1, NOW)), counts(("a", "b", "r", 2, NOW))
    feed = AlertFeed("narval", Counter([StateError("down"), first, StateError("down"), None, second]))
    assert [await feed.fetch(NOW) for _ in range(5)] == [None, first, first, first, second]
