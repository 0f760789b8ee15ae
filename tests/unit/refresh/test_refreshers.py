import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest
from fakes import Outcomes

from aggregator.app.layouts import CLUSTERS, FILESYSTEMS
from aggregator.ledger.totals import no_totals
from aggregator.model.accounting import JobState
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import Accounting, runs_of
from aggregator.model.ledger import LedgerView
from aggregator.model.question import Question, Questions
from aggregator.model.storage import Allocations, Award, StorageQuota
from aggregator.model.view import ClusterView
from aggregator.parts.storage.inputs import Filesystem
from aggregator.refresh.cluster import ClusterFeeds, ClusterRefresher
from aggregator.refresh.loop import Scheduled, run_loops
from aggregator.refresh.parts import PartsRefresher
from aggregator.refresh.stages import Stages
from aggregator.refresh.store import SnapshotStore
from aggregator.sources.base import FetchError
from tests.builders import NOW, make_entry, make_run, make_status, make_usage, make_use
from tests.spaces import make_filesystem

DOWN = FetchError("down")
RUNNING = Accounting(NOW, runs_of([make_run()]))
ALLOCATIONS = Allocations(NOW, {"project": {"def-kim": StorageQuota(bytes=100)}}, {"def-kim": Award(cpus=5.0)})


class Views(list[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    async def publish(self, view: object) -> None:
        self.append(view)

    async def keep(self, view: object) -> None:
        assert self[-1] is view, "a view is published before it is kept"
        self.kept.append(view)


def used_cpus(view: ClusterView) -> list[float | None]:
    return view.frames["jobs"]["used_cpus"].to_list()


def cluster_refresher(
    views: Views, accounting: list[object], use: list[object] | None = None, others: Any = (), **changes: Any
) -> Any:
    outcomes = Outcomes()
    use_feed = outcomes.feed(*use) if use is not None else None
    return ClusterRefresher("narval", ClusterFeeds(outcomes.feed(*accounting), use_feed, others=others), **{
        "publish": views.publish, "keep": views.keep, "stages": Stages(lambda *_: None), "layout": CLUSTERS, **changes,
    })  # fmt: skip


def filesystem_refresher(views: Views, usage: list[object], *others: Any, **changes: Any) -> PartsRefresher:
    return PartsRefresher("file system", "project", **{
        "layout": FILESYSTEMS, "facts": Filesystem("project", hsm=True),
        "feeds": (Outcomes().feed(*usage), *others), "publish": views.publish, "stages": Stages(lambda *_: None),
        **changes,
    })  # fmt: skip


async def test_a_refresh_joins_and_publishes() -> None:
    views, stages = Views(), []
    refresher = cluster_refresher(
        views, [RUNNING], [make_use(cpus={4711: {"node01": 2.0}})],
        others=(Outcomes().feed(ALLOCATIONS),), stages=Stages(lambda name, seconds: stages.append(name)),
    )  # fmt: skip
    await refresher.refresh(NOW)
    (view,) = views
    assert (view.cluster, view.time, used_cpus(view)) == ("narval", NOW, [2.0])
    assert list(view.frames["awards"]["account"]) == list(ALLOCATIONS.awards)
    assert stages == ["fetch", "join", "publish", "keep"]
    assert views.kept == [view]


async def test_a_view_knows_what_its_sources_were_asked() -> None:
    views, row, cpus = Views(), Question("slurmacct", "rows", NOW), Question("prometheus", "cpus", NOW - 5)
    accounting, use = replace(RUNNING, questions={"slurmacct": (row,)}), make_use(questions={"cpus": (cpus,)})
    ledger = LedgerView(Prices(), no_totals(NOW - 60))
    await cluster_refresher(views, [accounting], [use], others=(Outcomes().feed(ledger),)).refresh(NOW)
    asked = views[0].context.get(Questions).by_input
    assert {name: [each.at for each in found] for name, found in asked.items()} == {
        "ledger": [NOW - 60], "slurmacct": [NOW], "cpus": [NOW - 5],
    }  # fmt: skip


async def test_without_accounting_a_cluster_has_no_jobs() -> None:
    views = Views()
    await cluster_refresher(views, [DOWN], [make_use()]).refresh(NOW)
    assert views == [ClusterView("narval", NOW)]


async def test_without_use_a_cluster_has_jobs() -> None:
    views = Views()
    await cluster_refresher(views, [RUNNING], [DOWN]).refresh(NOW)
    assert used_cpus(views[0]) == [None]


async def test_a_run_that_ends_keeps_its_last_use() -> None:
    views = Views()
    ended = make_run(end=NOW + 20, state=JobState.COMPLETED)
    refresher = cluster_refresher(
        views,
        [RUNNING, *(Accounting(NOW + later, runs_of([ended])) for later in (30, 60))],
        [make_use(cpus={4711: {"node01": 2.0}}), make_use(time=NOW + 30), make_use(time=NOW + 60)],
    )
    for step in (0, 30, 60):
        await refresher.refresh(NOW + step)
    assert [used_cpus(view) for view in views] == [[2.0], [2.0], [2.0]]


async def test_a_failure_of_the_join_in_between_forgets_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views()
    ended = make_run(end=NOW + 20, state=JobState.COMPLETED)
    refresher = cluster_refresher(
        views,
        [RUNNING, *(Accounting(NOW + later, runs_of([ended])) for later in (30, 60))],
        [make_use(cpus={4711: {"node01": 2.0}}), make_use(time=NOW + 30), make_use(time=NOW + 60)],
    )
    await refresher.refresh(NOW)
    with monkeypatch.context() as bug:
        bug.setattr("aggregator.parts.jobs.join.use_of_runs", None)
        await refresher.refresh(NOW + 30)
    await refresher.refresh(NOW + 60)
    assert [used_cpus(view) for view in views] == [[2.0], [], [2.0]]
    assert [view.has_jobs for view in views] == [True, False, True]


async def test_a_reload_keeps_the_last_use_of_the_previous_refresher() -> None:
    views = Views()
    before = cluster_refresher(views, [RUNNING], [make_use(cpus={4711: {"node01": 7.0}})])
    ended = Accounting(NOW + 30, runs_of([make_run(end=NOW + 20)]))
    after = cluster_refresher(views, [ended], [make_use(time=NOW + 30)])
    await before.refresh(NOW)
    after.take_over(before)
    await after.refresh(NOW + 30)
    assert used_cpus(views[1]) == [7.0]


async def test_a_file_system_has_its_quotas() -> None:
    views = Views()
    await filesystem_refresher(views, [make_usage(make_entry())], Outcomes().feed(ALLOCATIONS)).refresh(NOW)
    assert views[0]["groups"].select("quota_bytes", "quota_source").rows() == [(100, "allocations")]


async def test_a_file_system_that_cannot_be_read_has_no_groups_rather_than_empty_ones() -> None:
    views = Views()
    await filesystem_refresher(views, [DOWN], None).refresh(NOW)
    assert [len(view["groups"]) for view in views] == [0]


class Gate:
    """A refresher that runs until it is let go, and tells how many run at once."""

    name = "gate"

    def __init__(self) -> None:
        self.running = self.most = 0
        self.times: list[float] = []
        self.began = asyncio.Event()
        self.go = asyncio.Event()

    async def refresh(self, at: float) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.times.append(at)
        self.began.set()
        await self.go.wait()
        self.go.clear()
        self.running -= 1

    async def step(self) -> None:
        """Let the refresh that runs end, and wait for the next one to begin."""
        self.began.clear()
        self.go.set()
        await self.began.wait()


async def test_a_slow_refresher_goes_on_and_never_overlaps_itself() -> None:
    gate, clock = Gate(), iter(range(1000))
    loops = asyncio.create_task(run_loops([Scheduled(gate, 1e-9)], lambda: float(next(clock))))
    async with asyncio.timeout(10):
        await gate.began.wait()
        for _ in range(5):
            await asyncio.sleep(0)
            await gate.step()
    assert gate.most == 1
    assert gate.times == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    loops.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loops


async def test_a_refresher_that_hangs_does_not_hold_up_the_others() -> None:
    stuck, moving = Gate(), Gate()
    loops = asyncio.create_task(run_loops([Scheduled(stuck, 1e-9), Scheduled(moving, 1e-9)]))
    async with asyncio.timeout(10):
        await moving.began.wait()
        for _ in range(3):
            await moving.step()
    assert (len(stuck.times), len(moving.times)) == (1, 4)
    loops.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loops


def test_a_publication_replaces_one_view_and_leaves_what_readers_took() -> None:
    store = SnapshotStore()
    store.publish_cluster(ClusterView("narval", NOW))
    taken = store.current
    store.publish_cluster(ClusterView("narval", NOW + 30))
    store.publish_cluster(ClusterView("rorqual", NOW))
    store.publish_filesystem(make_filesystem())
    assert {name: view.time for name, view in taken.clusters.items()} == {"narval": NOW}
    assert {name: view.time for name, view in store.current.clusters.items()} == {"narval": NOW + 30, "rorqual": NOW}
    assert store.current.filesystems.keys() == {"project"}


def test_a_source_is_known_by_its_name_and_scope() -> None:
    store = SnapshotStore()
    for scope, up in (("narval", True), ("rorqual", False), ("narval", False)):
        store.publish_source(make_status(scope=scope, up=up))
    assert {key: status.up for key, status in store.current.sources.items()} == {
        ("slurmacct", "narval"): False, ("slurmacct", "rorqual"): False,
    }  # fmt: skip


def test_what_is_not_configured_any_more_is_forgotten() -> None:
    store = SnapshotStore()
    for name in ("narval", "rorqual"):
        store.publish_cluster(ClusterView(name, NOW))
        store.publish_filesystem(make_filesystem(name=name))
    for scope in ("narval", "rorqual"):
        store.publish_source(make_status(scope=scope))
    store.keep_only({"narval"}, {"rorqual"})
    store.forget_sources({("slurmacct", "rorqual")})
    assert store.current.clusters.keys() == {"narval"}
    assert store.current.filesystems.keys() == {"rorqual"}
    assert store.current.sources.keys() == {("slurmacct", "narval")}


class Broken:
    """A refresher with a bug."""

    name = "cluster broken"

    def __init__(self) -> None:
        self.withdrawn: list[float] = []
        self.seen_twice = asyncio.Event()

    async def refresh(self, at: float) -> None:
        raise ZeroDivisionError

    async def withdraw(self, at: float) -> None:
        self.withdrawn.append(at)
        if len(self.withdrawn) == 2:
            self.seen_twice.set()


async def test_a_bug_in_one_refresh_withdraws_its_data_and_the_loop_goes_on() -> None:
    broken = Broken()
    loops = asyncio.create_task(run_loops([Scheduled(broken, 1e-9)], lambda: NOW))
    await asyncio.wait_for(broken.seen_twice.wait(), 5)
    loops.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loops


async def test_withdrawing_shows_nothing_and_is_counted() -> None:
    views, failures = Views(), []
    stages = Stages(lambda *_: None, lambda: failures.append(1))
    await cluster_refresher(views, [DOWN], stages=stages).withdraw(NOW)
    await filesystem_refresher(views, [DOWN], stages=stages).withdraw(NOW)
    assert views[0] == ClusterView("narval", NOW)
    assert all(frame.is_empty() for frame in views[1].frames.values())
    assert len(failures) == 2
