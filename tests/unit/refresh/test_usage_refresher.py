"""The slow timer of usage: read rarely, added up when the runs are known, and never with runs of another time."""

import asyncio
import contextlib
import math
from dataclasses import replace

import polars as pl
import pytest

from aggregator.model.accounting import Run
from aggregator.model.calendar import Calendar
from aggregator.model.decay import Decay
from aggregator.model.usage import Usage
from aggregator.model.view import ClusterView
from aggregator.refresh.loop import Scheduled, run_loops
from aggregator.refresh.usage import INTERVAL_SECONDS, STALE_SECONDS, UsageRefresher, UsageWindows
from aggregator.sources.base import FetchError
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUsage
from tests.accounts import make_frames
from tests.builders import NOW, make_run

from .fakes import Outcomes

WEEK = Decay(7 * 86_400.0)


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


def make_view(*runs: Run) -> ClusterView:
    return ClusterView("demo", NOW, frames=make_frames(runs=runs))


def seconds_of(frame: pl.DataFrame, **where: str) -> float:
    """Add up the seconds of some rows."""
    return float(frame.filter(**where)["seconds"].sum())


async def reading(at: float = NOW) -> Usage:
    cluster = SyntheticCluster(running=50, nodes=6, gpu_nodes=1, start=at)
    return await UsageWindows(SyntheticUsage(cluster), SyntheticAccounting(cluster), (4, 1)).fetch(at)


async def test_it_is_read_every_ten_minutes_and_never_at_each_refresh() -> None:
    first = await reading()
    scene = Scene(first, replace(first, time=NOW + 600))
    scene.view = make_view()
    for seconds in range(0, 601, 30):
        await scene.refresher.refresh(NOW + seconds)

    assert scene.fetches == 2
    assert await scene.refresher.fetch(NOW) is not None


async def test_it_is_added_up_when_the_runs_are_known_without_another_fetch() -> None:
    scene = Scene(await reading())
    await scene.refresher.refresh(NOW)
    assert await scene.refresher.fetch(NOW) is None

    scene.view = make_view(make_run())
    await scene.refresher.refresh(NOW + 30)

    assert await scene.refresher.fetch(NOW) is not None
    assert scene.fetches == 1


async def test_a_failure_keeps_what_was_known_until_it_is_stale() -> None:
    errors = [FetchError("clusters.demo.slurmacct: the connection was lost")] * 4
    scene = Scene(await reading(), *errors)
    scene.view = make_view()
    await scene.refresher.refresh(NOW)
    before = await scene.refresher.fetch(NOW)
    for number in (1, 2, 3):
        await scene.refresher.refresh(NOW + number * INTERVAL_SECONDS)
        assert await scene.refresher.fetch(NOW) is before, "not added up anew with runs of another time"
    await scene.refresher.refresh(NOW + 4 * INTERVAL_SECONDS)

    assert await scene.refresher.fetch(NOW) is None
    assert not scene.outcomes.status.up


async def test_a_clock_that_is_set_back_does_not_stop_it() -> None:
    first = await reading()
    scene = Scene(first, first)
    scene.view = make_view()
    await scene.refresher.refresh(NOW)
    await scene.refresher.refresh(NOW - 86_400)

    assert scene.fetches == 2


async def test_tables_that_are_not_offered_give_no_usage_and_no_error() -> None:
    scene = Scene(Usage(NOW))
    scene.view = make_view()
    await scene.refresher.refresh(NOW)

    assert await scene.refresher.fetch(NOW) is None
    assert scene.outcomes.status.up


async def test_after_a_fault_nothing_is_shown() -> None:
    scene = Scene(await reading())
    scene.view = make_view()
    await scene.refresher.refresh(NOW)
    await scene.refresher.withdraw(NOW)

    assert await scene.refresher.fetch(NOW) is None


async def test_the_synthetic_year_conserves_its_sums() -> None:
    """The windows, cut into months, days and hours, are what their hours add up to; accounts are sums of users."""
    usage = await reading()
    scene = Scene(usage)
    scene.view = make_view()
    await scene.refresher.refresh(NOW)
    view = await scene.refresher.fetch(NOW)
    assert view is not None
    root = view.accounts.filter(account="root", tres="cpu")
    allocated = view.cluster.filter(tres="cpu", state="allocated")

    assert set(root["window"]) == {"1d", "7d", "30d", "365d", "fiscal_year"}
    assert seconds_of(root, window="30d") == pytest.approx(seconds_of(view.users, tres="cpu", window="30d"))
    assert seconds_of(root, window="365d") - seconds_of(root, window="1d") == pytest.approx(
        seconds_of(allocated, window="365d") - seconds_of(allocated, window="1d")
    )
    of_week = view.cluster.filter(tres="cpu", window="7d")
    states = sum(seconds_of(of_week, state=name) for name in ("allocated", "down", "planned_down", "planned", "idle"))
    assert states == pytest.approx(seconds_of(of_week, state="down") / 0.012)


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


def decaying(decay: Decay | None = WEEK) -> tuple[UsageWindows, SyntheticCluster]:
    cluster = SyntheticCluster(running=50, nodes=6, gpu_nodes=1, start=NOW)
    return UsageWindows(SyntheticUsage(cluster), SyntheticAccounting(cluster), decay=decay), cluster


async def test_what_is_left_of_usage_is_read_where_it_is_known_how_it_decays() -> None:
    unknown, _ = decaying(None)
    windows, _ = decaying()
    assert (await unknown.fetch(NOW)).decayed is None
    usage = await windows.fetch(NOW)
    assert usage.decayed is not None
    assert usage.decayed.tres == {"billing", "gres/gpu"}

    scene = Scene(usage)
    scene.view = make_view()
    await scene.refresher.refresh(NOW)
    view = await scene.refresher.fetch(NOW)
    assert view is not None
    assert view.left is not None
    root = seconds_of(view.left.accounts, account="root", tres="gres/gpu")
    # Of a steady use as much is left as 1.44 half-lives of it are.
    month = seconds_of(view.accounts, account="root", tres="gres/gpu", window="30d")
    assert root == pytest.approx(month / 30 * 7 / math.log(2), rel=0.1)


async def test_it_is_read_anew_when_it_has_been_reset_though_nothing_was_rolled_up() -> None:
    """Neither a reset nor a new limit moves slurmdbd."""
    windows, cluster = decaying(Decay(0.0, "daily"))
    midnight = Calendar().following(NOW, "day")
    cluster.advance(midnight - 300)
    before, after = await windows.fetch(midnight - 300), await windows.fetch(midnight + 200)
    assert before.decayed is not None
    assert after.decayed is not None
    assert (before.decayed.since, after.decayed.since) == (midnight - 86_400, midnight)
    assert seconds_of(after.decayed.associations) == 0 < seconds_of(before.decayed.associations)


async def test_a_failure_while_decayed_usage_is_read_is_a_failure_of_the_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> None:
        raise FetchError("clusters.demo.slurmacct: the connection was lost")

    windows, _ = decaying()
    monkeypatch.setattr(SyntheticUsage, "decayed", fail)
    with pytest.raises(FetchError, match="connection was lost"):
        await windows.fetch(NOW)
