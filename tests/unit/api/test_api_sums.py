"""Users and accounts: live sums beside what the ledger has added up, and only to those who may see them."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState
from aggregator.model.tres import Allocation
from aggregator.model.waste import Condition, Level
from tests.builders import make_rule
from tests.clusters import make_energy

from .builders import NOW, frames_of, make_job, make_status, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
TOTALS = {"account": "def-kim", "until_seconds": NOW, "energy_joules_total": 3.6e6, "co2_grams_total": 30.0}
COST = {"account": "def-kim", "component": "electricity", "currency": "CAD", "amount": 0.1}
TREE = {"root": "", "def-kim": "root", "sub": "def-kim"}


def publish(service: Service) -> None:
    large = make_job(1, allocated=Allocation(cpus=7, nodes=1))
    others = (
        make_job(2, allocated=Allocation(cpus=1, nodes=1)),
        make_job(3, user="bob", state=JobState.PENDING, start=None, allocated=Allocation()),
        make_job(4, user='c"\n🚀', account="sub", allocated=Allocation(cpus=1, nodes=1)),
    )
    publish_jobs(
        service.store, large, *others,
        rules=[make_rule(name="cpu_low", levels=(Level("warning", (Condition("cpus_allocated", ">=", 7.0),)),))],
        inputs=[make_energy({"run_id": large.run.run_id, "gpu_watts": 120.0})],
        frames=frames_of(
            user_energy=[{"user": name, **TOTALS} for name in ("alice", "zoe")],
            user_costs=[{"user": name, **COST} for name in ("alice", "zoe")],
            account_energy=[TOTALS],
            account_costs=[COST],
        ),
        tree=TREE,
        organizations=dict.fromkeys(TREE, "org"),
        members={"alice": frozenset({"def-kim"})},
    )  # fmt: skip


def keys(rows: list[Any]) -> list[tuple[str, str]]:
    return [(row["account"], row["user"]) for row in rows]


async def test_users_are_listed_by_account_and_name_with_their_energy(service: Service) -> None:
    publish(service)
    rows = (await service.data(f"{CLUSTER}/users"))["users"]

    assert keys(rows) == [("def-kim", "alice"), ("def-kim", "bob"), ("def-kim", "zoe"), ("sub", 'c"\n🚀')]
    assert (rows[0]["power_watts"], rows[0]["energy_joules_total"]) == (120.0, 3.6e6)
    assert rows[0]["waste"] == [{"reason": "cpu_low", "severity": "warning", "count": 1}]
    assert (rows[1]["energy_joules_total"], rows[1]["power_watts"], rows[1]["costs"]) == (None, None, [])


async def test_who_has_no_open_job_still_has_energy(service: Service) -> None:
    publish(service)
    (row,) = (await service.data(f"{CLUSTER}/users/zoe"))["accounts"]

    assert (row["jobs"], row["co2_grams_total"]) == ([], 30.0)


async def test_users_are_filtered_and_paged(service: Service) -> None:
    publish(service)
    assert keys((await service.data(f"{CLUSTER}/users?account=sub"))["users"]) == [("sub", 'c"\n🚀')]
    found, cursor = [], ""
    while cursor is not None:
        page = await service.data(f"{CLUSTER}/users?limit=1" + (f"&cursor={cursor}" if cursor else ""))
        found += keys(page["users"])
        cursor = page["next_cursor"]

    assert found == [("def-kim", "alice"), ("def-kim", "bob"), ("def-kim", "zoe"), ("sub", 'c"\n🚀')]


async def test_an_account_shows_its_place_its_children_and_its_users(service: Service) -> None:
    publish(service)
    account = await service.data(f"{CLUSTER}/accounts/def-kim")

    assert (account["parent"], account["organization"], account["children"]) == ("root", "org", ["sub"])
    assert [user["user"] for user in account["users"]] == ["alice", "bob", "zoe"]
    assert account["energy_joules_total"] == 3.6e6


async def test_an_account_without_jobs_is_known_by_the_tree(service: Service) -> None:
    publish(service)
    account = await service.data(f"{CLUSTER}/accounts/root")

    assert (account["jobs"], account["children"], account["users"]) == ([], ["def-kim"], [])


async def test_accounts_are_listed_by_name(service: Service) -> None:
    publish(service)
    rows = (await service.data(f"{CLUSTER}/accounts"))["accounts"]

    assert [(row["account"], row["parent"]) for row in rows] == [("def-kim", "root"), ("sub", "def-kim")]
    assert [row["account"] for row in (await service.data(f"{CLUSTER}/accounts?account=sub"))["accounts"]] == ["sub"]


@pytest.mark.parametrize("path", ["users/nobody", "accounts/none"])
async def test_what_is_not_there_is_not_found(service: Service, path: str) -> None:
    publish(service)
    status, kind, text = await service.failure(f"{CLUSTER}/{path}")

    assert (status, kind) == (404, "not_found")
    assert path.partition("/")[2] in text


async def test_without_accounting_nothing_is_said(service: Service) -> None:
    publish(service)
    service.store.publish_source(make_status(last_success=None, up=False))

    assert (await service.failure(f"{CLUSTER}/users"))[0] == 503


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> TestClient[Any, Any]:
    publish(idle_service)
    tokens = TokenStore(tmp_path / "tokens.yml")
    client: TestClient[Any, Any] = await aiohttp_client(idle_service.app(tokens=tokens, open_areas=frozenset({HEALTH})))
    return client


async def test_a_user_sees_own_sums_and_those_of_the_own_accounts(
    guarded: TestClient[Any, Any], tmp_path: Path
) -> None:
    headers = bearer(make_token(tmp_path / "tokens.yml", "aaaa1111", "read:own", user="alice"))

    async def get(path: str) -> tuple[int, Any]:
        response = await guarded.get(f"{CLUSTER}/{path}", headers=headers)
        return response.status, (await response.json()).get("data")

    assert keys((await get("users"))[1]["users"]) == [("def-kim", "alice")]
    assert [row["account"] for row in (await get("accounts"))[1]["accounts"]] == ["def-kim"]
    assert [row["user"] for row in (await get("accounts/def-kim"))[1]["users"]] == ["alice"]
    assert [(await get(path))[0] for path in ("users/bob", "users/zoe", "accounts/sub", "accounts/root")] == [404] * 4
