"""Lists through HTTP: order, sums, CSV, whose rows, and what is said of mistakes."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState
from aggregator.model.jobid import display_id
from aggregator.model.tres import Allocation
from aggregator.model.view import ClusterView

from .builders import GIB, JOBS, NOW, frames_of, make_job, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
HOSTILE = 'o"brien,\n\N{ROCKET}'


def held(cpus: int, **gpus: int) -> Allocation:
    return Allocation(cpus, cpus * GIB, 1, gpus)


RUNS = (
    make_job(101, allocated=held(4, a100=2)),
    make_job(102, user="bob", account="def-lee", allocated=held(64), partition="large"),
    make_job(103, user=HOSTILE, allocated=held(64), use={}),
    make_job(104, user="carol", state=JobState.PENDING, start=None, nodes=(), allocated=held(0), use={}),
)


def publish(service: Service) -> None:
    energy = {"account": "def-kim", "user": "zoe", "until_seconds": NOW, "energy_joules_total": 5.0}
    publish_jobs(
        service.store, *RUNS, frames=frames_of(user_energy=[energy]), members={"alice": frozenset({"def-kim"})},
    )  # fmt: skip


@pytest.fixture
def lists(service: Service) -> Service:
    publish(service)
    return service


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Service:
    publish(idle_service)
    file = tmp_path / "tokens.yml"
    idle_service.client = await aiohttp_client(idle_service.app(open_areas=frozenset(), tokens=TokenStore(file)))
    return idle_service


async def test_jobs_come_by_what_they_hold(lists: Service) -> None:
    data = await lists.data(f"{JOBS}?sort=-allocated_memory_bytes&fields=job_id,allocated_cpus&limit=2")
    assert data["jobs"] == [{"job_id": 103, "allocated_cpus": 64.0}, {"job_id": 102, "allocated_cpus": 64.0}]
    more = await lists.data(f"{JOBS}?sort=-allocated_memory_bytes&fields=job_id&cursor={data['next_cursor']}")
    assert ([row["job_id"] for row in more["jobs"]], more["total"]) == ([101, 104], 4)
    assert more["next_cursor"] is None


async def test_users_and_accounts_come_by_what_they_hold(lists: Service) -> None:
    users = await lists.data(f"{CLUSTER}/users?sort=-allocated_cpus&min_allocated_cpus=1&fields=user,allocated_cpus")
    assert [tuple(row.values()) for row in users["users"]] == [(HOSTILE, 64.0), ("bob", 64.0), ("alice", 4.0)]
    gpus = await lists.data(f"{CLUSTER}/users?min_allocated_gpus=1&fields=user,gpus,used_cpus")
    assert gpus["users"] == [{"user": "alice", "gpus": [{"gpu_type": "a100", "count": 2}], "used_cpus": 1.5}]
    energy = await lists.data(f"{CLUSTER}/users?min_energy_joules_total=0&fields=user,allocated_cpus")
    assert energy["users"] == [{"user": "zoe", "allocated_cpus": 0.0}]
    accounts = await lists.data(f"{CLUSTER}/accounts?sort=-allocated_cpus&fields=account,allocated_cpus")
    assert [tuple(row.values()) for row in accounts["accounts"]] == [("def-kim", 68.0), ("def-lee", 64.0)]


async def test_jobs_add_up_to_their_owners(lists: Service) -> None:
    path = f"{JOBS}?group_by=account&sort=-allocated_cpus&fields=account,jobs,allocated_cpus,used_cpus"
    assert (await lists.data(path))["jobs"] == [
        {"account": "def-kim", "jobs": 3, "allocated_cpus": 68.0, "used_cpus": 1.5},
        {"account": "def-lee", "jobs": 1, "allocated_cpus": 64.0, "used_cpus": 1.5},
    ]


async def test_an_id_means_what_it_means_to_sacct(lists: Service) -> None:
    assert [row["id"] for row in (await lists.data(f"{JOBS}?id=101,102"))["jobs"]] == ["102", "101"]
    assert (await lists.failure(f"{JOBS}?id=x"))[2].startswith("job id: must be like 123")
    many = ",".join(map(str, range(21)))
    assert (await lists.failure(f"{JOBS}?id={many}"))[2] == "id: must be at most 20 values, got 21"


async def test_csv_is_whole_and_readable_whatever_is_in_a_name(lists: Service) -> None:
    asked = f"{JOBS}?fields=id,user,nodes&sort=job_id&limit=1"
    for answer in (await lists.get(f"{asked}&format=csv"), await lists.get(asked, headers={"Accept": "text/csv"})):
        assert answer.status == 200
        assert answer.content_type == "text/csv"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="narval-jobs.csv"'
        rows = list(csv.reader(io.StringIO(await answer.text(), newline="")))
        assert rows == [["id", "user", "nodes"], ["101", "alice", "n1"], ["102", "bob", "n1"], ["103", HOSTILE, "n1"],
                        ["104", "carol", ""]]  # fmt: skip


@pytest.mark.parametrize("query", ["", "format=csv"])
async def test_everybody_sees_their_own_only_and_reads_of_others_are_audited(
    guarded: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    caplog.set_level("INFO", "aggregator.audit")
    bob = bearer(make_token(tmp_path / "tokens.yml", "bob00000", "read:own", user="bob"))
    staff = bearer(make_token(tmp_path / "tokens.yml", "staff000", "read:all"))
    for path, key in ((JOBS, "user"), (f"{JOBS}?group_by=user", "user"), (f"{CLUSTER}/users", "user")):
        asked = f"{path}{'&' if '?' in path else '?'}fields={key}&{query}"
        text = await (await guarded.get(asked, headers=bob)).text()
        assert "bob" in text
        assert "alice" not in text
        assert "carol" not in text
        assert not caplog.records
        assert "alice" in await (await guarded.get(asked, headers=staff)).text()
        assert "whose=['alice', 'bob', 'carol'" in caplog.text
        caplog.clear()


async def test_a_sum_does_not_tell_of_jobs_that_may_not_be_seen(guarded: Service, tmp_path: Path) -> None:
    bob = bearer(make_token(tmp_path / "tokens.yml", "bob00000", "read:own", user="bob"))
    data = await guarded.data(f"{JOBS}?group_by=partition&fields=jobs,allocated_cpus", headers=bob)
    assert (data["jobs"], data["total"]) == ([{"jobs": 1, "allocated_cpus": 64.0}], 1)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("format=xml", 'format: must be one of json, csv, got "xml"'),
        ("format=csv&sort=usr", 'sort: no field "usr", did you mean user?'),
        ("format=csv&state=asleep", "state: must be one of"),
        ("with_children=1", 'with_children: must be one of false, true, got "1"'),
    ],
)
async def test_a_mistake_is_an_answer_not_half_a_file(lists: Service, query: str, said: str) -> None:
    status, kind, text = await lists.failure(f"{JOBS}?{query}")
    assert (status, kind) == (400, "bad_data")
    assert text.startswith(said)


@pytest.mark.parametrize("name", ["jobs", "users", "accounts"])
async def test_a_cluster_without_accounting_says_why(service: Service, name: str) -> None:
    service.store.publish_cluster(ClusterView("narval", 0.0))
    expected = 503, "unavailable", 'slurmacct of "narval": not fetched yet'
    assert await service.failure(f"{CLUSTER}/{name}") == expected
    assert await service.failure(f"{CLUSTER}/{name}?format=csv") == expected


async def test_children_are_added_where_they_are_asked_for(service: Service) -> None:
    publish_jobs(
        service.store, make_job(1, account="top"), make_job(2, account="below"),
        tree={"root": "", "top": "root", "below": "top"},
    )  # fmt: skip
    for more, expected in (("", [1]), ("&with_children=true", [2, 1]), ("&with_children=false", [1])):
        data = await service.data(f"{JOBS}?account=top{more}")
        assert [row["job_id"] for row in data["jobs"]] == expected


@pytest.mark.parametrize(
    "ids",
    [{}, {"array_job_id": 900, "array_task_id": 3}, {"array_job_id": 900, "array_task_id": 0}, {"array_job_id": 900},
     {"het_job_id": 900, "het_offset": 0}, {"het_job_id": 900, "het_offset": 2}],
)  # fmt: skip
async def test_a_list_and_a_single_job_have_one_id(service: Service, ids: dict[str, int]) -> None:
    publish_jobs(service.store, make_job(901, **ids))
    (row,), (run,) = (await service.data(JOBS))["jobs"], (await service.data(f"{JOBS}/901"))["runs"]
    assert row["id"] == run["id"] == display_id(901, **ids)
