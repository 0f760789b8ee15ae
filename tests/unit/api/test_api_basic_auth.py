"""Basic authentication of --web.config.file."""

import asyncio
import base64
from typing import Any

import bcrypt
import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.basic_auth import FAILURE_SECONDS, FAILURES, Passwords
from aggregator.api.errors import Busy, RateLimited

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


HOST = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


async def test_an_address_that_was_often_wrong_is_not_listened_to_for_a_minute() -> None:
    clock = Clock()
    passwords = Passwords({"a": hashed("right")}, clock)
    for _ in range(FAILURES):
        assert not await passwords.is_right("a", "wrong", HOST)
    with pytest.raises(RateLimited):
        await passwords.is_right("a", "right", HOST)
    assert await passwords.is_right("a", "right", "192.0.2.2")
    assert await passwords.is_right("a", "right", HOST), "known by now"
    clock.now += FAILURE_SECONDS
    assert not await passwords.is_right("a", "wrong", HOST)


async def test_an_ipv6_network_is_one_address_and_right_passwords_do_not_count() -> None:
    passwords = Passwords({f"u{number}": hashed("right") for number in range(20)}, Clock())
    for number in range(20):
        assert await passwords.is_right(f"u{number}", "right", HOST)
    for number in range(FAILURES):
        assert not await passwords.is_right("u0", "wrong", f"2001:db8::{number}")
    with pytest.raises(RateLimited):
        await passwords.is_right("u0", "wrong", "2001:db8::ffff")
    assert not await passwords.is_right("u0", "wrong", "2001:db8:0:1::1")


async def test_a_password_that_was_changed_or_a_user_who_is_gone_is_not_right_any_more() -> None:
    users = {"a": hashed("old"), "b": hashed("b")}
    passwords = Passwords(users, Clock())
    assert await passwords.is_right("a", "old", HOST)
    assert await passwords.is_right("b", "b", HOST)
    users["a"] = hashed("new")
    del users["b"]
    assert [await passwords.is_right(*given, HOST) for given in (("a", "old"), ("b", "b"), ("a", "new"))] == [
        False, False, True,
    ]  # fmt: skip


async def test_more_passwords_than_can_be_checked_soon_do_not_wait() -> None:
    passwords = Passwords({"a": bcrypt.hashpw(b"a", bcrypt.gensalt(9)).decode()}, Clock())
    answers = await asyncio.gather(
        *(passwords.is_right("a", "wrong", f"192.0.2.{number}") for number in range(60)), return_exceptions=True
    )
    assert sum(isinstance(answer, Busy) for answer in answers) == 28
    assert answers.count(False) == 32
