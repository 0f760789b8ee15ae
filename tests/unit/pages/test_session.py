"""A session is as good as its token, at every replica, for reading; and it gives no token away."""

import base64
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.session import COOKIE, SECONDS, begin, resume
from aggregator.api.tokens.file import TokenEntry, update_tokens
from aggregator.api.tokens.store import TokenStore
from tests.unit.api.builders import NOW, make_job, publish_jobs
from tests.unit.api.conftest import Service
from tests.unit.api.tokens import DAY, make_token

JOB = "/ui/clusters/narval/jobs/101"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yml"


async def test_a_session_of_one_replica_holds_at_another_that_has_the_same_tokens(file: Path) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    cookie, _ = await begin(TokenStore(file), token, NOW)
    entry = await resume(TokenStore(file), cookie, NOW + 60)
    assert entry is not None
    assert entry.user == "alice"


async def test_the_cookie_does_not_show_the_token_and_is_none_itself(file: Path) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    cookie, _ = await begin(TokenStore(file), token, NOW)
    assert token.encode() not in base64.urlsafe_b64decode(cookie)
    assert token[14:40] not in cookie


async def test_a_session_is_over_after_its_time_and_when_its_token_is(file: Path) -> None:
    token = make_token(file, "alice000", "read:own", user="alice", expires=NOW + 3600)
    long = make_token(file, "bob00000", "read:own", user="bob", expires=NOW + 9 * DAY)
    cookie, _ = await begin(TokenStore(file), token, NOW)
    other, _ = await begin(TokenStore(file), long, NOW)
    assert await resume(TokenStore(file), cookie, NOW + 3601) is None
    assert await resume(TokenStore(file), other, NOW + SECONDS - 1) is not None
    assert await resume(TokenStore(file), other, NOW + SECONDS) is None

    update_tokens(file, lambda entries: [_revoked(entry) for entry in entries])
    assert await resume(TokenStore(file), other, NOW + 60) is None


def _revoked(entry: TokenEntry) -> TokenEntry:
    return entry.model_copy(update={"revoked": NOW})


@pytest.mark.parametrize("cookie", ["", "x", "AAAA", "é", "A" * 10_000, "=" * 40])
async def test_what_is_no_cookie_of_ours_is_nobody(file: Path, cookie: str) -> None:
    make_token(file, "alice000", "read:own", user="alice")
    assert await resume(TokenStore(file), cookie, NOW) is None


async def test_a_cookie_that_was_changed_anywhere_is_nobody(file: Path) -> None:
    make_token(file, "bob00000", "read:own", user="bob")
    token = make_token(file, "alice000", "read:own", user="alice")
    raw = bytearray(base64.urlsafe_b64decode((await begin(TokenStore(file), token, NOW))[0]))
    store = TokenStore(file)
    for place in range(0, len(raw), 3):
        changed = bytearray(raw)
        changed[place] ^= 1
        assert await resume(store, base64.urlsafe_b64encode(bytes(changed)).decode(), NOW) is None


async def serve(idle: Service, aiohttp_client: Any, file: Path, **settings: Any) -> TestClient[Any, Any]:
    publish_jobs(idle.store, make_job(101), make_job(102, user="bob", account="def-bob"))
    client: TestClient[Any, Any] = await aiohttp_client(
        idle.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file), external_url="", **settings)
    )
    return client


async def test_who_signs_in_is_led_to_the_page_that_was_asked_for(
    idle_service: Service, aiohttp_client: Any, file: Path
) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    client = await serve(idle_service, aiohttp_client, file)
    asked = await client.get(JOB)
    assert asked.status == 401
    assert f'name="to" value="{JOB}"' in await asked.text()

    done = await client.post("/ui/sign-in", data={"token": token, "to": JOB}, allow_redirects=False)
    assert (done.status, done.headers["Location"]) == (303, f"..{JOB}")
    cookie = done.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")

    assert (await client.get(JOB)).status == 200
    assert (await client.get("/api/v1/clusters/narval/jobs/101")).status == 200
    assert (await client.get("/ui/clusters/narval/jobs/102")).status == 404, "rights are those of the token"
    assert (await client.post("/-/reload")).status == 401, "a cookie lets read, and do nothing"

    await client.post("/ui/sign-out")
    assert (await client.get(JOB)).status == 401


async def test_behind_tls_the_cookie_is_never_sent_in_the_clear(
    idle_service: Service, aiohttp_client: Any, file: Path
) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    app = idle_service.app(
        open_areas=frozenset({HEALTH}), tokens=TokenStore(file), external_url="https://hpc.example.org/"
    )
    client = await aiohttp_client(app)
    done = await client.post("/ui/sign-in", data={"token": token}, allow_redirects=False)
    assert done.cookies[COOKIE]["secure"] is True


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_nobody_is_led_to_another_site(idle_service: Service, aiohttp_client: Any, file: Path, to: str) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    client = await serve(idle_service, aiohttp_client, file)
    done = await client.post("/ui/sign-in", data={"token": token, "to": to}, allow_redirects=False)
    assert done.headers["Location"].startswith("../")


async def test_a_wrong_token_is_told_and_not_repeated(idle_service: Service, aiohttp_client: Any, file: Path) -> None:
    make_token(file, "alice000", "read:own", user="alice")
    client = await serve(idle_service, aiohttp_client, file)
    answer = await client.post("/ui/sign-in", data={"token": "<script>hpca_nonsense"})
    text = await answer.text()
    assert answer.status == 401
    assert "not a token of this service" in text
    assert "nonsense" not in text
    assert COOKIE not in answer.cookies


async def test_a_page_of_another_site_cannot_sign_anybody_in(
    idle_service: Service, aiohttp_client: Any, file: Path
) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    client = await serve(idle_service, aiohttp_client, file)
    answer = await client.post("/ui/sign-in", data={"token": token}, headers={"Origin": "https://evil.example"})
    assert answer.status == 403


async def test_without_tokens_nobody_is_asked_for_one(idle_service: Service, aiohttp_client: Any) -> None:
    client = await aiohttp_client(idle_service.app(open_areas=frozenset({HEALTH})))
    text = await (await client.get(JOB)).text()
    assert 'name="token"' not in text
    assert (await client.post("/ui/sign-in", data={"token": "x"})).status == 404
