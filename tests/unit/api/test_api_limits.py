"""Limits, shares, QOS and coordinators in the API, and only to those who may see what is used."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.association import Associations, Qos
from tests.accounts import make_left, make_levels, make_usage_sums
from tests.builders import HOSTILE_NAMES, make_association

from .builders import GIB, make_job, make_status, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
HOSTILE = HOSTILE_NAMES[0] + HOSTILE_NAMES[1] + HOSTILE_NAMES[4]
GRP_CPU, GRP_MEM, MAX_JOBS = ("GrpTRES", "cpu"), ("GrpTRES", "mem"), ("MaxJobs", "")
ROWS = (
    make_association("root", qos=frozenset({1}), limits={MAX_JOBS: 5.0}),
    make_association("def-kim", shares=10, limits={GRP_CPU: 50.0, GRP_MEM: 100.0 * GIB}),
    make_association("sub", parent="def-kim", shares=None, limits={GRP_CPU: 6.0}),
    make_association("def-lee", shares=30),
    make_association("def-kim", "alice"), make_association("sub", "carol"), make_association("def-lee", "bob"),
    make_association("def-lee", "bob", id=8, partition="gpu", limits={MAX_JOBS: 1.0}),
    make_association("def-lee", HOSTILE),
)  # fmt: skip
QOS = {1: Qos("high", {("MaxJobsPerUser", ""): 3.0, ("GrpJobs", ""): 9.0}, 1000), 2: Qos(HOSTILE, {})}
ASSOCIATIONS = Associations.of(ROWS, QOS, [("def-kim", "pi"), ("def-kim", HOSTILE)])
JOBS = (
    make_job(1, user="alice", account="def-kim", qos="high"), make_job(2, user="carol", account="sub", qos="high"),
    make_job(3, user="bob", account="def-lee", partition="gpu", association_id=8),
)  # fmt: skip


USED = {"root": 100.0, "def-kim": 80.0, "sub": 20.0, "def-lee": 20.0}
LEFT = make_left({"billing"}, {ROWS[4].id: {"billing": 60.0}}, {name: {"billing": used} for name, used in USED.items()})


def publish(service: Service) -> None:
    publish_jobs(
        service.store,
        *JOBS,
        associations=ASSOCIATIONS,
        inputs=[make_usage_sums(LEFT), make_levels({"def-lee": float("inf")})],
    )


def shown(limits: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (each["limit"], each["tres"], each["value"], each["used"], each["headroom"], each["from"]) for each in limits
    ]


def standing(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("fairshare_level", "fairshare_source", "shares_ratio", "usage_ratio"))


async def test_an_account_has_shares_limits_of_its_levels_and_coordinators(service: Service) -> None:
    publish(service)
    account = await service.data(f"{CLUSTER}/accounts/sub")

    assert (account["shares"], account["shares_ratio"]) == ("parent", 0.25)
    assert shown(account["limits"]) == [
        ("GrpTRES", "cpu", 6.0, 4.0, 2.0, {"account": "sub"}),
        ("GrpTRES", "cpu", 50.0, 8.0, 42.0, {"account": "def-kim"}),
        ("GrpTRES", "mem", 100.0 * GIB, 16.0 * GIB, 84.0 * GIB, {"account": "def-kim"}),
        ("MaxJobs", None, 5.0, None, None, {"account": "root"}),
    ]
    assert [(limit["unit"], limit["overridden_by"]) for limit in account["limits"][2:]] == [
        ("bytes", []), ("jobs", ["high"]),
    ]  # fmt: skip
    assert (await service.data(f"{CLUSTER}/accounts/def-kim"))["coordinators"] == sorted(["pi", HOSTILE])


async def test_fair_share_says_whose_word_it_is(service: Service) -> None:
    """Infinity is no number in JSON."""
    publish(service)
    shares = {name: standing(await service.data(f"{CLUSTER}/accounts/{name}")) for name in ("def-kim", "def-lee")}
    (alice,) = (await service.data(f"{CLUSTER}/users/alice"))["accounts"]
    assert shares["def-kim"] == (0.25 / 0.8, "approximation", 0.25, 0.8)
    assert shares["def-lee"] == (None, "slurm_exporter", 0.75, 0.2)
    assert (alice["usage_ratio"], alice["fairshare_source"]) == (0.75, "approximation")


async def test_without_decayed_usage_fair_share_is_not_known(service: Service) -> None:
    publish(service)
    publish_jobs(service.store, associations=ASSOCIATIONS)
    (alice,) = (await service.data(f"{CLUSTER}/users/alice"))["accounts"]
    assert standing(alice) == (None, None, 0.5, None)


async def test_a_user_has_the_limits_of_each_of_the_own_associations(service: Service) -> None:
    publish(service)
    (row,) = (await service.data(f"{CLUSTER}/users/bob"))["accounts"]

    assert (row["shares"], row["shares_ratio"]) == (1, 1 / 3)
    max_jobs = [limit for limit in row["limits"] if limit["limit"] == "MaxJobs"]
    assert [(limit["partition"], limit["value"], limit["used"]) for limit in max_jobs] == [
        (None, 5.0, 0.0),
        ("gpu", 1.0, 1.0),
    ]
    assert max_jobs[1]["from"] == {"account": "def-lee", "user": "bob", "partition": "gpu"}


async def test_a_user_without_jobs_is_known_by_the_association(service: Service) -> None:
    publish(service)
    publish_jobs(service.store, associations=ASSOCIATIONS)
    (row,) = (await service.data(f"{CLUSTER}/users/alice"))["accounts"]

    assert (row["account"], row["jobs"], row["energy_joules_total"]) == ("def-kim", [], None)
    assert ("MaxJobsPerUser", None, 3.0, 0.0, 3.0, {"qos": "high"}) in shown(row["limits"])


async def test_without_associations_there_is_no_limit_and_no_share(service: Service) -> None:
    publish_jobs(service.store, make_job(user="y", account="x"))
    account = await service.data(f"{CLUSTER}/accounts/x")
    (row,) = (await service.data(f"{CLUSTER}/users/y"))["accounts"]

    assert (account["limits"], account["shares"], account["coordinators"]) == ([], None, [])
    assert (row["limits"], row["shares"]) == ([], None)
    assert standing(account) == standing(row) == (None, None, None, None)


async def test_every_qos_is_listed_with_its_limits(service: Service) -> None:
    publish(service)
    rows = (await service.data(f"{CLUSTER}/qos"))["qos"]

    assert [(row["qos"], row["priority"], len(row["limits"])) for row in rows] == [("high", 1000, 2), (HOSTILE, 0, 0)]
    assert rows[0]["limits"] == [
        {"limit": "GrpJobs", "tres": None, "value": 9.0, "unit": "jobs"},
        {"limit": "MaxJobsPerUser", "tres": None, "value": 3.0, "unit": "jobs"},
    ]
    assert rows[0]["limits_used"] == [{"limit": "GrpJobs", "tres": None, "used": 2.0, "headroom": 7.0}]


@pytest.mark.parametrize("query", ["limits=GrpJobs", "limits_used=x", "min_limits=1"])
async def test_objects_are_no_filter(service: Service, query: str) -> None:
    publish(service)
    status, _, error = await service.failure(f"{CLUSTER}/qos?{query}")
    assert (status, error.partition(",")[0]) == (400, f"{query.partition('=')[0]}: no such parameter")


@pytest.mark.parametrize(
    ("path", "status"), [("narval/qos?x=1", 400), ("beluga/qos", 404), ("narval/qos", 503)], ids=str
)
async def test_a_wrong_question_about_qos_is_an_error(service: Service, path: str, status: int) -> None:
    publish(service)
    if status == 503:
        service.store.publish_source(make_status(last_success=None, up=False))
    assert (await service.failure(f"/api/v1/clusters/{path}"))[0] == status


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> TestClient[Any, Any]:
    publish(idle_service)
    tokens = TokenStore(tmp_path / "tokens.yml")
    client: TestClient[Any, Any] = await aiohttp_client(idle_service.app(tokens=tokens, open_areas=frozenset({HEALTH})))
    return client


class As:
    """The API as one user sees it."""

    def __init__(self, client: TestClient[Any, Any], folder: Path, user: str) -> None:
        self.client = client
        self.headers = bearer(make_token(folder / "tokens.yml", f"{user:0<8}", "read:own", user=user))

    async def get(self, path: str) -> tuple[int, Any]:
        response = await self.client.get(f"{CLUSTER}/{path}", headers=self.headers)
        return response.status, (await response.json()).get("data")


async def test_a_coordinator_sees_all_jobs_of_the_account_and_below_and_no_others(
    guarded: TestClient[Any, Any], tmp_path: Path
) -> None:
    pi = As(guarded, tmp_path, "pi")
    assert [job["job_id"] for job in (await pi.get("jobs"))[1]["jobs"]] == [2, 1]
    assert [(await pi.get(f"jobs/{job_id}"))[0] for job_id in (1, 2, 3)] == [200, 200, 404]
    assert (await pi.get("jobs/1/script"))[0] == 404, "a script may hold secrets: owner and staff"
    assert [(await pi.get(f"accounts/{name}"))[0] for name in ("def-kim", "sub", "def-lee", "root")] == [
        200,
        200,
        404,
        404,
    ]
    carol = (await pi.get("users/carol"))[1]["accounts"][0]["limits"]
    assert {each["used"] for each in carol if "qos" in each["from"]} == {None}, "counted in all accounts of the user"


async def test_what_is_used_above_is_not_shown_to_a_member_below(guarded: TestClient[Any, Any], tmp_path: Path) -> None:
    carol = As(guarded, tmp_path, "carol")
    (row,) = (await carol.get("users/carol"))[1]["accounts"]
    assert shown(row["limits"])[:2] == [
        ("GrpTRES", "cpu", 6.0, 4.0, 2.0, {"account": "sub"}),
        ("GrpTRES", "cpu", 50.0, None, None, {"account": "def-kim"}),
    ]
    assert ("MaxJobsPerUser", None, 3.0, 1.0, 2.0, {"qos": "high"}) in shown(row["limits"])
    assert [(await carol.get(path))[0] for path in ("users/alice", "accounts/def-kim", "jobs/1")] == [404] * 3


async def test_a_user_sees_the_limits_of_qos_and_not_what_others_use(
    guarded: TestClient[Any, Any], tmp_path: Path
) -> None:
    status, data = await As(guarded, tmp_path, "bob").get("qos")
    assert status == 200
    assert [set(row) for row in data["qos"]] == [{"qos_id", "qos", "priority", "limits"}] * 2
