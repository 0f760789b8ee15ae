"""The ledger over time: closed windows once each, catching up after a stop, nothing added on half knowledge."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.app.layouts import CLUSTERS
from aggregator.config import State
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import Runs, runs_of
from aggregator.model.readings import GPUS, NODES, USED, Readings, Windows
from aggregator.model.tres import Allocation
from aggregator.model.view import ClusterView, Snapshot, SourceStatus
from aggregator.refresh import ledger as module
from aggregator.refresh.ledger import LedgerRefresher, LedgerSettings
from aggregator.sources.base import FetchError
from aggregator.state import StateError, StateStore
from tests.unit.ledger.ledger_site import frame, node_row

# A multiple of the window.
START = 1_700_000_040.0
RUN = Run(
    cluster="c", run_id=1, job_id=101, user="alice", account="def-kim", state=JobState.RUNNING, submit=START - 500,
    start=START - 500, allocated=Allocation(8, 0, 1, {}), nodes=("n1",),
)  # fmt: skip


def joined(*runs: Run) -> Frames:
    """Make the tables of a cluster with these runs."""
    return CLUSTERS.join(Inputs(runs_of(runs)), START).frames


FRAMES = {True: joined(RUN), False: joined()}


class Power:
    """Nodes that draw 100 W at rest, in windows of a minute that settle in half of one."""

    window = 60.0
    settle_seconds = 30.0

    def __init__(self) -> None:
        self.rejected: Mapping[str, int] = Counter()
        self.asked: list[tuple[float, int]] = []
        self.error: Exception | None = None
        self.last: float | None = None

    async def newest(self, at: float) -> float | None:
        return at if self.last is None else self.last

    async def windows(self, first_end: float, count: int) -> Readings:
        self.asked.append((first_end, count))
        if self.error:
            raise self.error
        windows = Windows(first_end - self.window, self.window, count)
        says = {"watts": 100.0, "cpus": 16.0, "vouches_cpus": False, "vouches_memory": False, "vouches_gpus": False}
        nodes = frame(NODES, (node_row(number, **says) for number in range(count)))
        return Readings(windows, nodes, USED.empty(), GPUS.empty())


class Site:
    """One cluster's sources and snapshot under the test's control, with a real state."""

    def __init__(self, state: StateStore) -> None:
        self.state = state
        self.power = Power()
        self.is_running = True
        self.ended: tuple[Run, ...] = ()
        self.accounted: float | None = None
        # When the last view was made, if not of the last answer of slurmacct.
        self.viewed: float | None = None
        self.has_jobs = True
        self.statuses: list[SourceStatus] = []
        self.failures = 0

    def refresher(self, **settings: Any) -> LedgerRefresher:
        return LedgerRefresher(
            "c",
            power=self.power,
            ended=self,
            keeper=self.state.ledger,
            settings=LedgerSettings(**{"prices": Prices(), "backfill_seconds": 0.0, **settings}),
            snapshot=self.snapshot,
            publish=self.statuses.append,
            failed=self.fail,
        )

    def fail(self) -> None:
        self.failures += 1

    def snapshot(self) -> Snapshot:
        status = SourceStatus("slurmacct", "c", up=True, last_success=self.accounted)
        viewed = self.accounted if self.viewed is None else self.viewed
        view = ClusterView("c", viewed or 0.0, frames=FRAMES[self.is_running], has_jobs=self.has_jobs and bool(viewed))
        return Snapshot(clusters={"c": view}, sources={("slurmacct", "c"): status})

    async def ended_since(self, since: float) -> Runs:
        return runs_of(run for run in self.ended if (run.end or 0) >= since)

    async def run_until(self, refresher: LedgerRefresher, at: float) -> None:
        """Let slurmacct answer at `at`, and refresh."""
        self.accounted = at
        await refresher.refresh(at)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    state = StateStore(State.model_validate({"url": f"sqlite:///{tmp_path}/state.db"}))
    yield Site(state)
    await state.close()


async def joules(refresher: LedgerRefresher, at: float = START) -> float | None:
    view = await refresher.fetch(at)
    assert view is not None
    found = view.totals.users.filter(user="alice", account="def-kim")["joules"]
    return found.item() if len(found) else None


async def test_windows_are_added_when_they_have_closed_and_settled(site: Site) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    await site.run_until(refresher, START + 89)
    assert await joules(refresher) is None

    await site.run_until(refresher, START + 90)

    assert (site.power.asked, await joules(refresher)) == ([(START + 60, 1)], 60 * 50.0)


async def test_a_window_is_added_once_however_often_it_is_looked_at(site: Site) -> None:
    refresher = site.refresher()
    for second in range(30, 240, 10):
        await site.run_until(refresher, START + second)

    assert (await joules(refresher), site.statuses[-1].up) == (3 * 60 * 50.0, True)


async def test_nothing_is_added_before_slurmacct_has_answered(site: Site) -> None:
    """Without knowing who ran, every joule would be idle for ever."""
    refresher = site.refresher()
    await refresher.refresh(START + 600)

    assert (site.power.asked, await refresher.fetch(START)) == ([], None)


async def test_while_slurmacct_is_down_windows_wait(site: Site) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    await refresher.refresh(START + 1000)
    assert site.power.asked == []

    await site.run_until(refresher, START + 1050)
    assert await joules(refresher) == 17 * 60 * 50.0


async def test_while_no_view_is_made_of_what_slurmacct_says_windows_wait(site: Site) -> None:
    """The jobs of the view before are not those that ran since."""
    refresher = site.refresher()
    for viewed in (0.0, START + 30):
        site.viewed = viewed
        await site.run_until(refresher, START + 600)
        assert site.power.asked == []
    site.viewed = None
    await site.run_until(refresher, START + 600)
    assert site.power.asked


async def test_while_a_view_has_no_jobs_because_something_failed_windows_wait(site: Site) -> None:
    """Every joule would be idle for ever."""
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    site.has_jobs, site.is_running = False, False
    await site.run_until(refresher, START + 600)
    assert site.power.asked == []

    site.has_jobs, site.is_running = True, True
    await site.run_until(refresher, START + 630)
    assert await joules(refresher) == 10 * 60 * 50.0


async def test_a_ledger_that_the_state_has_lost_is_written_again(site: Site, tmp_path: Path) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    await site.run_until(refresher, START + 300)
    before = await joules(refresher)
    await site.state.close()
    (tmp_path / "state.db").unlink()
    for second in (360, 420, 480):
        await site.run_until(refresher, START + second)
    after = await joules(refresher)
    assert after is not None
    assert before is not None
    assert after > before
    assert await joules(site.refresher()) == after


async def test_a_killed_service_catches_up_to_what_an_uninterrupted_one_has(site: Site, tmp_path: Path) -> None:
    await site.run_until(site.refresher(), START + 30)
    await site.run_until(site.refresher(), START + 300)
    site.is_running, site.ended = False, (replace(RUN, end=START + 400),)
    restarted = site.refresher()
    await site.run_until(restarted, START + 3030)

    other = Site(StateStore(State.model_validate({"url": f"sqlite:///{tmp_path}/other.db"})))
    uninterrupted = other.refresher()
    for second in range(30, 3040, 30):
        if second > 400:
            other.is_running, other.ended = False, site.ended
        await other.run_until(uninterrupted, START + second)
    await other.state.close()

    assert await joules(restarted) == await joules(uninterrupted) == 400 * 50.0


async def test_catching_up_is_bounded_and_goes_on_at_the_next_refresh(site: Site) -> None:
    refresher = site.refresher()
    windows = module.MAX_BATCHES * module.MAX_WINDOWS + 10
    await site.run_until(refresher, START + 30)
    await site.run_until(refresher, START + 30 + windows * 60)
    assert [count for _, count in site.power.asked] == [module.MAX_WINDOWS] * module.MAX_BATCHES

    await site.run_until(refresher, START + 31 + windows * 60)
    assert await joules(refresher) == windows * 60 * 50.0


async def test_a_new_ledger_begins_before_its_first_start(site: Site) -> None:
    refresher = site.refresher(backfill_seconds=600.0)
    await site.run_until(refresher, START + 30)

    assert await joules(refresher) == 500 * 50.0


async def test_a_failed_query_adds_nothing_and_is_made_good(site: Site) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    site.power.error = FetchError("clusters.c.prometheus: HTTP 422: execution: too many samples")
    await site.run_until(refresher, START + 90)
    assert (site.statuses[-1].up, site.statuses[-1].error) == (False, str(site.power.error))
    assert await joules(refresher) is None

    site.power.error = None
    await site.run_until(refresher, START + 150)
    assert (await joules(refresher), site.statuses[-1].up) == (2 * 60 * 50.0, True)


async def test_a_state_that_is_down_delays_the_ledger(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)

    async def fail(*_: object) -> bool:
        raise StateError("state.url: x: gone")

    with monkeypatch.context() as patch:
        patch.setattr(site.state.ledger, "save", fail)
        await site.run_until(refresher, START + 90)
        assert site.statuses[-1].error == "state.url: x: gone"
    await site.run_until(refresher, START + 150)

    assert await joules(refresher) == 2 * 60 * 50.0


async def test_two_replicas_add_every_window_once(site: Site) -> None:
    one, other = site.refresher(), site.refresher()
    for second in range(30, 640, 30):
        await site.run_until(one if second % 60 else other, START + second)
    await site.run_until(one, START + 660)
    await site.run_until(other, START + 660)
    views = [await replica.fetch(START + 660) for replica in (one, other)]

    assert await joules(one) == await joules(other) == 10 * 60 * 50.0
    assert [view.power.window_end for view in views if view and view.power] == [START + 600, START + 600]


async def test_old_power_is_not_shown(site: Site) -> None:
    refresher = site.refresher(stale_after=300.0)
    await site.run_until(refresher, START + 30)
    await site.run_until(refresher, START + 90)
    fresh, stale = await refresher.fetch(START + 200), await refresher.fetch(START + 1000)

    assert fresh is not None
    assert stale is not None
    assert (fresh.power is None, stale.power is None) == (False, True)
    assert stale.totals.users.equals(fresh.totals.users)


async def test_windows_of_another_length_begin_at_their_own_alignment(site: Site) -> None:
    await site.run_until(site.refresher(), START + 30)
    await site.run_until(site.refresher(), START + 90)
    site.power.window = 90.0
    longer = site.refresher()
    await site.run_until(longer, START + 330)

    assert site.power.asked[-1][0] % 90 == 0
    assert await joules(longer) == pytest.approx(60 * 50.0 + 90 * 50.0 * site.power.asked[-1][1])


async def test_a_bug_shows_nothing_half_done(site: Site) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    await refresher.withdraw(START + 60)

    view = await refresher.fetch(START)

    assert view is not None
    assert (view.totals.window_end, view.power, site.failures, site.statuses[-1].up) == (START, None, 1, False)


async def test_a_restarted_service_shows_what_is_kept_before_it_adds_anything(site: Site) -> None:
    """Counters that vanish for a refresh, and findings with them, would end alerts at every restart and reload."""
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    await site.run_until(refresher, START + 90)

    assert await joules(site.refresher()) == 60 * 50.0


async def test_a_state_that_fails_delays_no_snapshot(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StateError("state.url: x: gone")

    monkeypatch.setattr(site.state.ledger, "load", fail)

    assert await site.refresher().fetch(START) is None


async def test_the_ledger_never_goes_beyond_the_newest_sample(site: Site) -> None:
    """Our clock is an hour ahead for a while: nothing is lost."""
    refresher = site.refresher()
    await site.run_until(refresher, START + 30)
    site.power.last = START + 95
    await site.run_until(refresher, START + 3690)
    assert (await joules(refresher), site.power.asked) == (60 * 50.0, [(START + 60, 1)])

    site.power.last = None
    await site.run_until(refresher, START + 150)
    assert await joules(refresher) == 2 * 60 * 50.0


async def test_a_position_in_the_future_is_an_error(site: Site) -> None:
    refresher = site.refresher()
    await site.run_until(refresher, START + 7200)
    await site.run_until(refresher, START + 90)

    assert not site.statuses[-1].up
    assert "further on than the newest sample" in site.statuses[-1].error
