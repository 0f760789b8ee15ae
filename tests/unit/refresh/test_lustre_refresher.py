"""Names of uids: from the runs at hand, else a few at a time from slurmacct, and never at the cost of a refresh."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from fakes import Outcomes

from aggregator.engine.part import Inputs
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import Runs, runs_of
from aggregator.model.lustre import LustreUse
from aggregator.refresh.lustre import AGAIN_SECONDS, UIDS_AT_ONCE, LustreRefresher
from aggregator.sources.base import FetchError
from tests.builders import NOW, make_run
from tests.lustre import Sender, senders


class FakeUsers:
    """Name every uid above 100, or fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[int, ...]] = []

    async def names(self, uids: Collection[int]) -> Mapping[int, str]:
        self.asked.append(tuple(uids))
        if self.error:
            raise self.error
        return {uid: f"user{uid}" for uid in uids if uid > 100}


def use_of(*uids: int) -> LustreUse:
    return LustreUse(time=NOW, rates={"read": senders({Sender("scratch", uid=uid): 1.0 for uid in uids})})


def refresher(users: FakeUsers | None) -> LustreRefresher:
    return LustreRefresher(Outcomes().feed(), users)


async def learned(lustre: LustreRefresher, use: LustreUse | None, runs: Runs | None, at: float = NOW) -> dict[int, str]:
    return dict((await lustre.learn(Inputs(use, runs), at)).frame.iter_rows())


def of(*runs: Run) -> Runs:
    return runs_of(runs)


NOBODY = of()


async def test_a_uid_of_a_run_is_named_without_asking() -> None:
    users = FakeUsers()
    runs = of(make_run(uid=500), make_run(uid=None, user="bob"))
    assert await learned(refresher(users), use_of(500), runs) == {500: "alice"}
    assert users.asked == []


async def test_a_name_outlives_the_run_that_told_it() -> None:
    lustre = refresher(None)
    await learned(lustre, use_of(), of(make_run(uid=500)))
    assert await learned(lustre, use_of(500), NOBODY) == {500: "alice"}


async def test_another_uid_is_asked_for_once_and_one_without_a_name_again_after_an_hour() -> None:
    users = FakeUsers()
    lustre = refresher(users)
    for at in (NOW, NOW + 30, NOW + AGAIN_SECONDS):
        names = await learned(lustre, use_of(0, 7, 500), NOBODY, at)
    assert users.asked == [(7, 500), (7,)], "root needs no name"
    assert names == {500: "user500"}


async def test_many_unknown_uids_are_asked_for_a_few_at_a_time() -> None:
    users = FakeUsers()
    lustre = refresher(users)
    for _ in range(3):
        await learned(lustre, use_of(*range(1000, 1250)), NOBODY)
    assert list(map(len, users.asked)) == [UIDS_AT_ONCE, UIDS_AT_ONCE, 50]


async def test_when_slurmacct_does_not_answer_uids_stay_uids_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    users = FakeUsers(FetchError("clusters.narval.slurmacct: down"))
    with caplog.at_level(logging.WARNING):
        assert await learned(refresher(users), use_of(500), NOBODY) == {}
    assert "clusters.narval.slurmacct: down" in caplog.text


@pytest.mark.parametrize(("use", "runs"), [(None, NOBODY), (use_of(5), None)])
async def test_without_rates_or_without_slurmacct_nobody_is_asked(use: Any, runs: Any) -> None:
    users = FakeUsers()
    assert await learned(refresher(users), use, runs) == {}
    assert users.asked == []


async def test_the_servers_are_asked_about_as_often_as_they_are_scraped() -> None:
    first, second = (LustreUse(time=NOW + after, interval=90.0) for after in (0, 90))
    lustre = LustreRefresher(Outcomes().feed(first, second))
    assert [await lustre.fetch(NOW + after) for after in (0, 30, 60, 90)] == [first, first, first, second]


async def test_after_a_failure_the_next_refresh_asks_again_and_shows_what_is_not_stale() -> None:
    first, second = (LustreUse(time=NOW + after, interval=90.0) for after in (0, 120))
    lustre = LustreRefresher(Outcomes().feed(first, FetchError("down"), second))
    assert [await lustre.fetch(NOW + after) for after in (0, 90, 120)] == [first, first, second]
