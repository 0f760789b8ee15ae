"""Basic authentication of --web.config.file."""

import base64
from typing import Any

import bcrypt
import pytest
from aiohttp.test_utils import TestClient

from .conftest import Service


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


PASSWORD = 'pässwörd "\\'


@pytest.fixture
async def client(idle_service: Service, aiohttp_client: Any) -> TestClient[Any, Any]:
    users = {"scraper": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}
    client: TestClient[Any, Any] = await aiohttp_client(idle_service.app(users=users))
    return client


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status", "/", "/nowhere"])
async def test_without_credentials_nothing_is_shown(client: TestClient[Any, Any], path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
async def test_probes_need_no_credentials(client: TestClient[Any, Any], path: str) -> None:
    assert (await client.get(path)).status in (200, 503)


async def test_reload_needs_credentials(client: TestClient[Any, Any]) -> None:
    assert (await client.post("/-/reload")).status == 401


async def test_the_right_password_opens_everything(client: TestClient[Any, Any]) -> None:
    right = {"Authorization": basic("scraper", PASSWORD)}
    for path in ("/metrics", "/api/v1/status", "/", "/metrics"):
        assert (await client.get(path, headers=right)).status == 200


@pytest.mark.parametrize(
    "header",
    [
        basic("scraper", "wrong"),
        basic("nobody", PASSWORD),
        basic("scraper", ""),
        basic("scraper", "x" * 500),
        "Basic !!!",
        "Basic c2NyYXBlcg==",
        "Bearer abc",
        "",
    ],
    ids=["password", "user", "empty", "long", "no base64", "no colon", "bearer", "blank"],
)
async def test_wrong_credentials_are_refused_each_time(client: TestClient[Any, Any], header: str) -> None:
    for _ in range(2):
        assert (await client.get("/metrics", headers={"Authorization": header})).status == 401
