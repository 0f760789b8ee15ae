import asyncio
import logging

import pytest
from fakes import Outcomes, hang

from aggregator.refresh.fetch import fetch_optional
from aggregator.sources.base import FetchError
from tests.builders import NOW, make_use

DOWN = FetchError("clusters.narval.slurmacct: cannot connect to db:3306")


def test_a_source_is_down_before_it_is_fetched(outcomes: Outcomes) -> None:
    outcomes.feed()
    assert (outcomes.status.up, outcomes.status.error) == (False, "not fetched yet")
    assert (outcomes.status.source, outcomes.status.scope) == ("slurmacct", "narval")
    assert outcomes.status.last_attempt is outcomes.status.last_success is None


async def test_good_data_are_given_and_said_to_be_good(outcomes: Outcomes) -> None:
    assert await outcomes.feed("good").fetch(NOW) == "good"
    status = outcomes.status
    assert (status.up, status.error, status.rows) == (True, "", 1)
    assert status.last_attempt == status.last_success == NOW
    assert status.features == {"het_job_id": True}
    assert status.duration_seconds >= 0
    assert [(source, scope) for source, scope, _ in outcomes.observed] == [("slurmacct", "narval")]


async def test_the_source_is_asked_for_the_evaluation_time(outcomes: Outcomes) -> None:
    feed = outcomes.feed("good")
    await feed.fetch(NOW)
    assert feed._source.asked == [NOW]  # type: ignore[attr-defined]


async def test_the_last_good_data_are_served_until_they_are_stale(outcomes: Outcomes) -> None:
    feed = outcomes.feed("good", DOWN, DOWN, DOWN)
    await feed.fetch(NOW)
    assert await feed.fetch(NOW + 30) == "good"
    assert await feed.fetch(NOW + 300) == "good"
    assert await feed.fetch(NOW + 300.1) is None


async def test_stale_data_do_not_come_back(outcomes: Outcomes) -> None:
    feed = outcomes.feed("good", DOWN, DOWN)
    await feed.fetch(NOW)
    assert await feed.fetch(NOW + 301) is None
    assert await feed.fetch(NOW + 100) is None


async def test_a_source_that_was_never_read_gives_nothing(outcomes: Outcomes) -> None:
    assert await outcomes.feed(DOWN).fetch(NOW) is None
    assert outcomes.status.last_success is None
    assert outcomes.status.last_attempt == NOW


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (DOWN, str(DOWN)),
        (TimeoutError(), "no answer within 60 s"),
        (RuntimeError("password=hunter2"), "unexpected RuntimeError; the log has the details"),
        (KeyError("x"), "unexpected KeyError; the log has the details"),
        (ExceptionGroup("several", [ValueError("x")]), "unexpected ExceptionGroup; the log has the details"),
    ],
)
async def test_no_failure_of_a_source_propagates(outcomes: Outcomes, failure: Exception, text: str) -> None:
    feed = outcomes.feed("good", failure)
    await feed.fetch(NOW)
    assert await feed.fetch(NOW + 30) == "good"
    status = outcomes.status
    assert (status.up, status.error) == (False, text)
    assert (status.last_attempt, status.last_success, status.rows) == (NOW + 30, NOW, 1)
    assert len(outcomes.observed) == 2


async def test_a_source_that_hangs_is_given_up(outcomes: Outcomes) -> None:
    assert await outcomes.feed(hang, timeout=0.01).fetch(NOW) is None
    assert outcomes.status.error == "no answer within 0.01 s"


async def test_a_stop_of_the_service_is_not_held_up(outcomes: Outcomes) -> None:
    task = asyncio.create_task(outcomes.feed(hang).fetch(NOW))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_source_that_recovers_is_up_with_its_new_data(outcomes: Outcomes) -> None:
    feed = outcomes.feed("old", DOWN, "new")
    for at in (NOW, NOW + 30):
        await feed.fetch(at)
    assert await feed.fetch(NOW + 60) == "new"
    assert (outcomes.status.up, outcomes.status.error, outcomes.status.last_success) == (True, "", NOW + 60)


async def test_rejected_values_are_counted_for_ever(outcomes: Outcomes) -> None:
    bad = make_use(rejected={"gpu_utilization out of range": 2})
    worse = make_use(rejected={"gpu_utilization out of range": 1, "job id is not a number": 4})
    feed = outcomes.feed(bad, DOWN, worse)
    for step in range(3):
        await feed.fetch(NOW + step)
    assert outcomes.status.rejected == {"gpu_utilization out of range": 3, "job id is not a number": 4}
    assert outcomes.statuses[1].rejected == {"gpu_utilization out of range": 2}


async def test_a_failed_input_makes_the_source_down_and_its_data_are_served(outcomes: Outcomes) -> None:
    use = make_use(cpus=None, failed={"cpus": "prometheus: HTTP 500", "threads": "prometheus: HTTP 500"})
    assert await outcomes.feed(use).fetch(NOW) is use
    assert outcomes.status.up is False
    assert outcomes.status.error == "prometheus: HTTP 500"
    assert outcomes.status.failed_inputs == {"cpus": "prometheus: HTTP 500", "threads": "prometheus: HTTP 500"}
    assert outcomes.status.last_success == NOW


async def test_inputs_that_recover_are_not_failed_any_more(outcomes: Outcomes) -> None:
    feed = outcomes.feed(make_use(failed={"cpus": "x"}), make_use())
    await feed.fetch(NOW)
    await feed.fetch(NOW + 30)
    assert (outcomes.status.up, outcomes.status.failed_inputs) == (True, {})


async def test_a_failure_is_logged_once_while_it_lasts(outcomes: Outcomes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    feed = outcomes.feed("good", DOWN, DOWN, "good", "good")
    for step in range(5):
        await feed.fetch(NOW + step)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


async def test_failed_inputs_are_logged_as_a_failure(outcomes: Outcomes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    feed = outcomes.feed(*[make_use(failed={"cpus": "prometheus: HTTP 500"})] * 3)
    for step in range(3):
        await feed.fetch(NOW + step)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "HTTP 500" in caplog.text


async def test_a_feed_that_is_not_configured_gives_nothing(outcomes: Outcomes) -> None:
    assert await fetch_optional(None, NOW) is None
    assert await fetch_optional(outcomes.feed("good"), NOW) == "good"
