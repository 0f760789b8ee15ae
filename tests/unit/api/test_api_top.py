"""The largest and the most wasteful: the right order, whole pages, and nobody else's."""

from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.measures import MEASURES
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState
from aggregator.model.tres import Allocation
from aggregator.model.view import ClusterView

from .builders import GIB, NOW, frames_of, make_job, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

TOP = "/api/v1/clusters/narval/top"
HOSTILE = 'o"brien\n\N{ROCKET}'


def held(cpus: int, **gpus: int) -> Allocation:
    return Allocation(cpus, cpus * GIB, 1, gpus)


JOBS = (
    make_job(101, allocated=held(4, a100=2)),
    make_job(102, user="bob", account="def-lee", allocated=held(64), partition="large"),
    make_job(103, user=HOSTILE, allocated=held(64), use={}),
    make_job(104, user="carol", state=JobState.PENDING, start=None, nodes=(), allocated=held(0)),
)


@pytest.fixture
def top(service: Service) -> Service:
    publish(service)
    return service


def publish(service: Service) -> None:
    energy = {"account": "def-kim", "user": "zoe", "until_seconds": NOW, "energy_joules_total": 5.0}
    publish_jobs(
        service.store, *JOBS, frames=frames_of(user_energy=[energy]), members={"alice": frozenset({"def-kim"})},
    )  # fmt: skip


def names(data: Any) -> list[Any]:
    return [(row["user"], row["value"]) for row in data["top"]]


async def test_users_come_in_the_order_of_what_they_hold(top: Service) -> None:
    data = await top.data(f"{TOP}?by=cpus")
    assert (data["by"], data["group"], data["unit"]) == ("cpus", "user", "cpus")
    assert names(data) == [(HOSTILE, 64.0), ("bob", 64.0), ("alice", 4.0)]
    assert data["top"][2]["used"]["cpus"]["value"] == 1.5
    assert data["next_cursor"] is None


async def test_who_has_none_of_it_or_of_whom_it_is_not_known_is_left_out(top: Service) -> None:
    assert names(await top.data(f"{TOP}?by=gpus")) == [("alice", 2.0)]
    assert [name for name, _ in names(await top.data(f"{TOP}?by=used_cpus"))] == ["alice", "bob"]
    assert names(await top.data(f"{TOP}?by=energy")) == [("zoe", 5.0)]


async def test_jobs_are_those_that_run_and_take_the_filters_of_the_list(top: Service) -> None:
    data = await top.data(f"{TOP}?by=memory&group=job")
    assert [(row["job_id"], row["value"]) for row in data["top"]] == [
        (102, 64.0 * GIB), (103, 64.0 * GIB), (101, 4.0 * GIB),
    ]  # fmt: skip
    large = await top.data(f"{TOP}?by=memory&group=job&partition=large")
    assert [row["job_id"] for row in large["top"]] == [102]


async def test_accounts_are_added_up(top: Service) -> None:
    data = await top.data(f"{TOP}?by=cpus&group=account")
    assert [(row["account"], row["value"]) for row in data["top"]] == [("def-kim", 68.0), ("def-lee", 64.0)]


@pytest.mark.parametrize("group", ["job", "user", "account"])
@pytest.mark.parametrize("by", sorted(MEASURES))
async def test_pages_together_are_the_whole_list_each_once(top: Service, by: str, group: str) -> None:
    whole = (await top.data(f"{TOP}?by={by}&group={group}"))["top"]
    assert [row["value"] for row in whole] == sorted((row["value"] for row in whole), reverse=True)
    found, cursor = [], ""
    for _ in range(len(whole) + 1):
        data = await top.data(f"{TOP}?by={by}&group={group}&limit=1{cursor}")
        found += data["top"]
        if data["next_cursor"] is None:
            break
        cursor = f"&cursor={data['next_cursor']}"
    assert found == whole


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "by: is required; it must be one of cpus, energy, gpus"),
        ("by=moons", "by: must be one of cpus, energy"),
        ("by=cpus&group=moon", "group: must be one of account, job, user"),
        ("by=cpus&state=running", "state: is for group=job"),
        ("by=cpus&cursor=WzFd", "cursor: must be"),
        ("by=cpus&cursor=WyJuYW4iLCJhIiwiYiJd", "cursor: must be"),
        ("by=cpus&cursor=WyJ4IiwiYSIsImIiXQ", "cursor: must be"),
    ],
)
async def test_what_is_wrong_is_named(top: Service, query: str, text: str) -> None:
    status, _, error = await top.failure(f"{TOP}?{query}")
    assert status == 400
    assert text in error


async def test_a_cluster_without_accounting_says_why(service: Service) -> None:
    service.store.publish_cluster(ClusterView("narval", 0.0))
    assert await service.failure(f"{TOP}?by=cpus") == (503, "unavailable", 'slurmacct of "narval": not fetched yet')


async def test_everybody_sees_their_own_only_and_reads_of_others_are_audited(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens.yml"
    alice = bearer(make_token(file, "aaaaaaaa", "read:own", user="alice"))
    staff = bearer(make_token(file, "bbbbbbbb", "read:all"))
    publish(idle_service)
    idle_service.client = await aiohttp_client(
        idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    )
    caplog.set_level("INFO", logger="aggregator.audit")
    assert names(await idle_service.data(f"{TOP}?by=cpus", headers=alice)) == [("alice", 4.0)]
    jobs = await idle_service.data(f"{TOP}?by=cpus&group=job", headers=alice)
    assert [row["job_id"] for row in jobs["top"]] == [101]
    accounts = await idle_service.data(f"{TOP}?by=cpus&group=account", headers=alice)
    assert [row["account"] for row in accounts["top"]] == ["def-kim"]
    assert caplog.text == "", "one's own data are no news"
    assert len((await idle_service.data(f"{TOP}?by=cpus", headers=staff))["top"]) == 3
    assert "'bob'" in caplog.text
    assert (await idle_service.get(f"{TOP}?by=cpus")).status == 401
