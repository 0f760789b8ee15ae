"""Clouds and file systems that are known from Prometheus: each source fails alone."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from fakes import Outcomes

from aggregator.app.layouts import CLOUDS, FILESYSTEMS
from aggregator.engine.column import Column, Table
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs, Layout, Part
from aggregator.engine.view import View
from aggregator.model.storage import Allocations, StorageQuota
from aggregator.parts import cloud as cloud_part
from aggregator.parts.cloud.inputs import Cloud
from aggregator.parts.storage.inputs import Filesystem
from aggregator.refresh.parts import PartsRefresher
from aggregator.refresh.stages import Stages
from aggregator.sources.base import FetchError
from tests.builders import NOW, make_entry, make_usage
from tests.clouds import make_cloud_use, make_instance
from tests.unit.parts.storage.owners import counts

DOWN = FetchError("down")
ALICE = frozenset({"alice"})
ALLOCATIONS = Allocations(
    NOW, {"project": {"def-kim": StorageQuota(bytes=100)}},
    group_members={"project": {"def-kim": ALICE}}, project_members={"arbutus": {"def-kim-dev": ALICE}},
)  # fmt: skip
COUNTS = counts({"owner": "def-kim", "used_bytes": 50, "soft_bytes": 60})


def filesystem(
    views: list[Any], counted: list[object], usage: list[object] | None = None, *, own_limits: bool = True
) -> PartsRefresher:
    async def publish(view: object) -> None:
        views.append(view)

    return PartsRefresher(
        "file system", "project", layout=FILESYSTEMS,
        facts=Filesystem("project", scanned=usage is not None, has_own_limits=own_limits),
        feeds=(
            None if usage is None else Outcomes().feed(*usage), Outcomes().feed(*counted, stale_after=0.0),
            Outcomes().feed(ALLOCATIONS, ALLOCATIONS),
        ),
        publish=publish, stages=Stages(lambda *_: None),
    )  # fmt: skip


def cloud(
    views: list[Any], feed: Any, failed: Callable[[], None] = lambda: None, layout: Layout = CLOUDS
) -> PartsRefresher:
    async def publish(view: object) -> None:
        views.append(view)

    return PartsRefresher(
        "cloud", "arbutus", layout=layout, facts=Cloud("arbutus"),
        feeds=(feed, Outcomes().feed(ALLOCATIONS, ALLOCATIONS, ALLOCATIONS)),
        publish=publish, stages=Stages(lambda *_: None, failed),
    )  # fmt: skip


async def test_a_file_system_without_robinhood_is_known_by_its_quotas() -> None:
    views: list[View] = []
    await filesystem(views, [COUNTS]).refresh(NOW)
    (view,) = views
    assert view["members"].rows() == [("def-kim", "alice")]
    assert view["groups"].select("disk_used_bytes", "quota_used_ratio_bytes").rows() == [(50, 50 / 60)]


async def test_gpfs_has_its_own_limits_and_lfs_quota_those_of_the_allocations() -> None:
    views: list[View] = []
    plain = counts({"owner": "def-kim", "used_bytes": 50})
    await filesystem(views, [plain]).refresh(NOW)
    await filesystem(views, [plain], own_limits=False).refresh(NOW)
    found = [view["groups"].select("quota_bytes", "quota_source").row(0) for view in views]
    assert found == [(None, None), (100, "allocations")]


async def test_quotas_that_cannot_be_read_leave_robinhoods_numbers_and_the_other_way_round() -> None:
    views: list[View] = []
    await filesystem(views, [DOWN], [make_usage(make_entry())]).refresh(NOW)
    await filesystem(views, [COUNTS], [DOWN]).refresh(NOW)
    without_quota, without_use = views
    assert without_quota["groups"].select("group", "quota_bytes").rows() == [("def-kim", None)]
    found = without_use["groups"].select("disk_used_bytes", "quota_used_ratio_bytes").rows()
    assert found == [(None, 50 / 60)], "what Robinhood counts is not known"


async def test_quotas_that_are_stale_disappear() -> None:
    views: list[View] = []
    refresher = filesystem(views, [COUNTS, DOWN])
    await refresher.refresh(NOW)
    await refresher.refresh(NOW + 1)
    assert [len(view["groups"]) for view in views] == [1, 0]


async def test_quotas_of_users_are_shown_of_users() -> None:
    views: list[View] = []
    of_users = counts({"owner": "def-kim", "used_bytes": 50}, of_users=True)
    await filesystem(views, [of_users]).refresh(NOW)
    assert views[0]["users"].select("group", "user").rows() == [("", "def-kim")]
    assert views[0]["groups"].is_empty()


async def test_a_cloud_is_joined_with_its_members() -> None:
    views: list[View] = []
    await cloud(views, Outcomes().feed(make_cloud_use(make_instance()))).refresh(NOW)
    assert views[0]["projects"]["project"].to_list() == ["def-kim-dev"]
    assert views[0]["members"].rows() == [("def-kim-dev", "alice")]


async def test_a_cloud_that_cannot_be_read_is_not_empty_but_unknown() -> None:
    views: list[View] = []
    await cloud(views, Outcomes().feed(DOWN)).refresh(NOW)
    (view,) = views
    assert all(frame.is_empty() for frame in view.frames.values()), "though a project has members"


async def test_what_is_wrong_with_a_clouds_series_is_told() -> None:
    outcomes = Outcomes()
    use = make_cloud_use(make_instance(), failed={"vcpus": "timeout"}, rejected={"cpu": 2})
    await cloud([], outcomes.feed(use)).refresh(NOW)
    assert (outcomes.status.up, outcomes.status.failed_inputs) == (False, {"vcpus": "timeout"})
    assert outcomes.status.rejected == {"cpu": 2}


async def test_withdrawing_a_cloud_shows_nothing_and_is_counted() -> None:
    views, failures = list[View](), list[int]()
    await cloud(views, Outcomes().feed(), lambda: failures.append(1)).withdraw(NOW)
    (view,) = views
    assert all(frame.is_empty() for frame in view.frames.values())
    assert len(failures) == 1


async def test_a_part_that_fails_is_counted_each_time_and_said_once_and_the_others_are_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    broken = True

    def join(frames: Frames, inputs: Inputs, at: float) -> Frames:
        if broken:
            raise ZeroDivisionError("a bug")
        return {"rooms": pl.DataFrame({"room": ["r1"]})}

    column = Column(name="room", dtype=pl.String, help="The room.")
    rooms = Table(name="rooms", of="room", collect="cloud", labels={}, columns=(column,))
    layout = Layout("cloud", (cloud_part.PART, Part(name="rooms", join=join, tables=(rooms,))))
    views, failures = list[View](), list[int]()
    feeds = [Outcomes().feed(*[make_cloud_use(make_instance())] * 3)]
    refresher = cloud(views, *feeds, lambda: failures.append(1), layout)
    await refresher.refresh(NOW)
    await refresher.refresh(NOW + 30)
    assert [view["instances"].height for view in views] == [1, 1]
    assert [view["rooms"].height for view in views] == [0, 0]
    assert len(failures) == 2
    assert caplog.text.count("part failed, what it shows is withdrawn: of=cloud arbutus part=rooms") == 1
    assert caplog.text.count("ZeroDivisionError: a bug") == 1, "with the trace"
    broken = False
    await refresher.refresh(NOW + 60)
    assert (views[-1]["rooms"].height, len(failures)) == (1, 2)
    assert "part succeeded: of=cloud arbutus part=rooms" in caplog.text
