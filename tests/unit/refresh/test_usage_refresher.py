"""The slow timer of usage: read rarely, added up when the runs are known, and never with runs of another time."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from aggregator.model.usage import Usage
from aggregator.model.view import ClusterView
from aggregator.refresh.loop import Scheduled, run_loops
from aggregator.refresh.usage import INTERVAL_SECONDS, STALE_SECONDS, UsageRefresher, UsageWindows
from aggregator.sources.base import FetchError
from aggregator.sources.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUsage
from tests.builders import NOW, make_job

from .fakes import Outcomes


class Scene:
    """A refresher over what the test says, and a view that may not be there yet."""

    def __init__(self, *outcomes: object) -> None:
        self.view: ClusterView | None = None
        self.outcomes = Outcomes()
        feed = self.outcomes.feed(*outcomes, stale_after=STALE_SECONDS)
        self.refresher = UsageRefresher("demo", feed, lambda: self.view)

    @property
    def fetches(self) -> int:
        return len(self.outcomes.observed)


async def reading(at: float = NOW) -> Usage:
    cluster = SyntheticCluster(running=50, nodes=6, gpu_nodes=1, start=at)
    return await UsageWindows(SyntheticUsage(cluster), SyntheticAccounting(cluster), (4, 1)).fetch(at)


async def test_it_is_read_every_ten_minutes_and_never_at_each_refresh() -> None:
    first = await reading()
    scene = Scene(first, replace(first, time=NOW + 600))
    scene.view = ClusterView("demo", NOW)
    for seconds in range(0, 601, 30):
        await scene.refresher.refresh(NOW + seconds)

    assert scene.fetches == 2
    assert scene.refresher.view() is not None


async def test_it_is_added_up_when_the_runs_are_known_without_another_fetch() -> None:
    scene = Scene(await reading())
    await scene.refresher.refresh(NOW)
    assert scene.refresher.view() is None

    scene.view = ClusterView("demo", NOW, jobs=(make_job(),))
    await scene.refresher.refresh(NOW + 30)

    assert scene.refresher.view() is not None
    assert scene.fetches == 1


async def test_a_failure_keeps_what_was_known_until_it_is_stale() -> None:
    errors = [FetchError("clusters.demo.slurmacct: the connection was lost")] * 4
    scene = Scene(await reading(), *errors)
    scene.view = ClusterView("demo", NOW)
    await scene.refresher.refresh(NOW)
    before = scene.refresher.view()
    for number in (1, 2, 3):
        await scene.refresher.refresh(NOW + number * INTERVAL_SECONDS)
        assert scene.refresher.view() is before, "not added up anew with runs of another time"
    await scene.refresher.refresh(NOW + 4 * INTERVAL_SECONDS)

    assert scene.refresher.view() is None
    assert not scene.outcomes.status.up


async def test_a_clock_that_is_set_back_does_not_stop_it() -> None:
    first = await reading()
    scene = Scene(first, first)
    scene.view = ClusterView("demo", NOW)
    await scene.refresher.refresh(NOW)
    await scene.refresher.refresh(NOW - 86_400)

    assert scene.fetches == 2


async def test_tables_that_are_not_offered_give_no_usage_and_no_error() -> None:
    scene = Scene(Usage(NOW))
    scene.view = ClusterView("demo", NOW)
    await scene.refresher.refresh(NOW)

    assert scene.refresher.view() is None
    assert scene.outcomes.status.up


async def test_after_a_fault_nothing_is_shown() -> None:
    scene = Scene(await reading())
    scene.view = ClusterView("demo", NOW)
    await scene.refresher.refresh(NOW)
    await scene.refresher.withdraw(NOW)

    assert scene.refresher.view() is None


async def test_the_synthetic_year_conserves_its_sums() -> None:
    """The windows, cut into months, days and hours, are what their hours add up to; accounts are sums of users."""
    usage = await reading()
    scene = Scene(usage)
    scene.view = ClusterView("demo", NOW)
    await scene.refresher.refresh(NOW)
    view = scene.refresher.view()
    assert view is not None
    root = next(sums.seconds for sums in view.accounts if sums.account == "root")

    assert {window for _, window in root} == {"1d", "7d", "30d", "365d", "fiscal_year"}
    assert root["cpu", "30d"] == pytest.approx(sum(sums.seconds["cpu", "30d"] for sums in view.users))
    assert root["cpu", "365d"] - root["cpu", "1d"] == pytest.approx(
        view.cluster["cpu", "allocated", "365d"] - view.cluster["cpu", "allocated", "1d"]
    )
    seconds = usage.until - usage.windows["7d"]
    states = [view.cluster["cpu", state, "7d"] for state in ("allocated", "down", "planned_down", "planned", "idle")]
    assert sum(states) == pytest.approx(seconds * view.cluster["cpu", "down", "7d"] / seconds / 0.012)


async def test_a_loop_ends_though_a_driver_swallows_the_cancellation() -> None:
    begun = asyncio.Event()

    class Swallows:
        name = "swallows"

        async def refresh(self, at: float) -> None:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        async def withdraw(self, at: float) -> None:
            raise AssertionError

    loops = asyncio.create_task(run_loops([Scheduled(Swallows(), 3600.0)]))
    await begun.wait()
    loops.cancel()

    done, _ = await asyncio.wait([loops], timeout=10)
    assert done == {loops}
