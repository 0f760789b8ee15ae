"""Lustre in the answers: rates of jobs, users and accounts, and the series of file systems."""

from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.app.layouts import CLUSTERS
from aggregator.model.lustre import LustreUse
from aggregator.model.series import Line, Subject
from aggregator.model.view import ClusterView
from tests.lustre import Sender, io, lustre_frames, senders

from .builders import JOBS, NOW, FakeSeries, make_job, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

IO = {"filesystem": "scratch", **io(read=5.0, metadata=2.0)}
PATH = "/api/v1/storage/scratch/series"
LINES = (
    Line({"user": "alice"}, ((NOW, 1.0),)),
    Line({"user": "bob"}, ((NOW, 2.0),)),
    Line({"user": "_other"}, ((NOW, 3.0),)),
    Line({"user": ""}, ((NOW, 4.0),)),
)
FRAMES = CLUSTERS.empty() | lustre_frames(
    user_lustre=[{"user": "alice", "account": account, **IO} for account in ("", "def-kim")],
    account_lustre=[{"account": "def-kim", **IO}],
    cluster_lustre=[{"part": "jobs", **IO}],
)


def publish(service: Service, **changes: Any) -> None:
    publish_jobs(service.store, **{
        "frames": FRAMES, "tree": {"def-kim": "root"},
        "members": {"alice": frozenset({"def-kim"})}, **changes,
    })  # fmt: skip


class LustreSeries(FakeSeries):
    """Answers with all of its lines, whoever is asked for."""

    async def read(self, kind: str, name: str, subject: Subject, span: Any) -> Any:
        assert (kind, subject) == ("filesystem", Subject(labels=(("filesystem", "scratch"),)))
        return await super().read(kind, name, Subject(), span)


@pytest.fixture
async def served(idle_service: Service, aiohttp_client: Any) -> Service:
    publish(idle_service)
    idle_service.lines = LustreSeries(lines=LINES)
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service


async def test_a_job_shows_its_rates_by_file_system_with_their_coverage(service: Service) -> None:
    job = make_job()
    rates = {kind: senders({Sender("scratch", job.run.job_id): 1.5e9}) for kind in ("read", "write")}
    publish_jobs(service.store, job, inputs=[LustreUse(time=NOW - 10, rates=rates, coverage={"scratch": 0.75})])
    (run,) = (await service.data(f"{JOBS}/{job.run.job_id}"))["runs"]
    assert run["lustre"] == [
        {"filesystem": "scratch", "read_bytes_per_second": 1.5e9, "write_bytes_per_second": 1.5e9,
         "metadata_operations_per_second": None}
    ]  # fmt: skip
    assert (run["lustre_bytes_per_second"], run["coverage"]["lustre"]) == (3e9, 0.75)


async def test_a_user_has_rates_under_each_account_and_outside_of_jobs(service: Service) -> None:
    publish(service)
    rows = (await service.data("/api/v1/clusters/narval/users/alice"))["accounts"]
    assert [(row["account"], row["read_bytes_per_second"]) for row in rows] == [("", 5.0), ("def-kim", 5.0)]
    assert rows[0]["write_bytes_per_second"] is None, "what is not known is not 0"
    assert rows[0]["lustre"] == [
        {"filesystem": "scratch", "read_bytes_per_second": 5.0, "write_bytes_per_second": None,
         "metadata_operations_per_second": 2.0}
    ]  # fmt: skip
    account = await service.data("/api/v1/clusters/narval/accounts/def-kim")
    assert account["metadata_operations_per_second"] == 2.0


async def test_where_lustre_is_not_read_there_are_no_rates(service: Service) -> None:
    publish(service, frames=CLUSTERS.empty())
    assert (await service.data("/api/v1/clusters/narval/accounts/def-kim"))["lustre"] == []


async def test_a_file_system_that_only_lustre_shows_has_its_series(served: Service) -> None:
    data = await served.data(f"{PATH}?metric=cpu")
    assert len(data["result"]) == len(LINES)
    assert "metrics" in await served.data(PATH), "without metric the graphs that there are"


@pytest.mark.parametrize("name", ["nowhere", "scr%0Aatch", "%22%3D1", "%F0%9F%9A%80"])
async def test_a_file_system_that_nobody_knows_is_not_asked_for(served: Service, name: str) -> None:
    answer = await served.client.get(f"/api/v1/storage/{name}/series?metric=cpu")
    assert answer.status == 404
    assert "neither configured nor shown" in (await answer.json())["error"]


async def test_of_several_clusters_the_one_must_be_named(served: Service) -> None:
    served.store.publish_cluster(ClusterView("beluga", NOW, frames=FRAMES))
    answer = await served.client.get(f"{PATH}?metric=cpu")
    assert answer.status == 400
    assert "beluga, narval" in (await answer.json())["error"]
    assert (await served.client.get(f"{PATH}?metric=cpu&cluster=narval")).status == 200
    assert (await served.client.get(f"{PATH}?metric=cpu&cluster=nowhere")).status == 404


async def test_of_the_users_everybody_sees_the_own_line_and_the_staff_all(
    idle_service: Service, aiohttp_client: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    publish(idle_service)
    idle_service.lines = LustreSeries(lines=LINES)
    file = tmp_path / "tokens.yml"
    alice, staff = make_token(file, "aaaaaaaa", "read:own", user="alice"), make_token(file, "bbbbbbbb", "read:all")
    idle_service.client = await aiohttp_client(
        idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    )

    async def users(token: str) -> list[str]:
        answer = await idle_service.client.get(f"{PATH}?metric=cpu", headers=bearer(token))
        return [line["metric"]["user"] for line in (await answer.json())["data"]["result"]]

    with caplog.at_level("INFO", logger="aggregator.audit"):
        assert await users(alice) == ["alice"]
        assert not caplog.records
        assert await users(staff) == ["alice", "bob", "_other", ""]
    assert "'alice', 'bob'" in caplog.text
    assert (await idle_service.client.get(PATH)).status == 401
