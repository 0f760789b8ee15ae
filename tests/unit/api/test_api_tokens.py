"""Bearer tokens at the door: who is let in where, and what a wrong token is told."""

import base64
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.api.access import AREAS, CLUSTERS, HEALTH, METRICS
from aggregator.api.identity import TrustedProxy
from aggregator.api.tokens.store import TokenStore
from aggregator.api.visibility import Rules
from aggregator.config import Bounds
from aggregator.model.token import format_token

from .builders import JOBS, NOW, FakeReload, make_job, make_status, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

Client = TestClient[Any, Any]
CLOSED = frozenset({HEALTH})
LOCALHOST = TrustedProxy((ip_network("127.0.0.0/8"),), "X-Grafana-User")
ELSEWHERE = TrustedProxy((ip_network("192.0.2.0/24"),), "X-Grafana-User")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yml"


@pytest.fixture
def connect(idle_service: Service, aiohttp_client: Any, file: Path) -> Any:
    """Start the API with the tokens of the file."""

    async def start(open_areas: frozenset[str] = CLOSED, **changes: Any) -> Client:
        publish_jobs(idle_service.store, make_job(101), make_job(102, user="bob"), members={"alice": frozenset({"a"})})
        app = idle_service.app(open_areas=open_areas, tokens=TokenStore(file), **changes)
        client: Client = await aiohttp_client(app)
        return client

    return start


async def status(client: Client, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
    return (await client.request(method, path, headers=headers)).status


async def error(client: Client, path: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = await client.get(path, headers=headers)
    return answer.status, (await answer.json())["error"]


async def test_without_an_identity_no_route_answers_but_the_open_ones(
    idle_service: Service, connect: Any, file: Path
) -> None:
    """Walks the router, so that a route which is added later is guarded or fails here."""
    make_token(file, "readall0", "read:all")
    # The walk asks more often than a client may.
    client = await connect(frozenset({HEALTH, METRICS}), bounds=Bounds(requests_per_second=1000, burst=1000))
    allowed = {"/", "/-/healthy", "/-/ready", "/metrics", "/docs", "/openapi.json"}
    allowed |= {"/ui/sign-in", "/ui/sign-in/start", "/ui/sign-in/callback", "/ui/sign-out", "/ui/static/{file}"}
    routes = {(route.method, route.resource.canonical) for route in client.app.router.routes() if route.resource}
    assert len(routes) > 20

    answered = set()
    for method, path in routes:
        made = path.replace("{cluster}", "narval").replace("{job_id}", "101").replace("{filesystem}", "project")
        if await status(client, made, method=method) != 401:
            answered.add(path)

    assert answered == allowed


@pytest.mark.parametrize("open_areas", [CLOSED, AREAS], ids=["elsewhere", "loopback"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a token of this service, which begins with hpca_"),
        ("abc", "not a token of this service, which begins with hpca_"),
        ("hpca_" + "x" * 5000, "not a token of this service, which begins with hpca_"),
        ("hpca_ünïcode_" + "0" * 49, "not a token of this service, which begins with hpca_"),
        ("hpca_readall0_" + "0" * 49, "the token's checksum is wrong: was it copied whole?"),
        (format_token("readall0", b"x" * 32), "token readall0: not known here"),
        (format_token("unknown0", b"x" * 32), "token unknown0: not known here"),
    ],
    ids=["empty", "other", "long", "unicode", "checksum", "secret", "id"],
)
async def test_a_wrong_token_is_refused_everywhere(
    connect: Any, file: Path, open_areas: frozenset[str], text: str, told: str
) -> None:
    make_token(file, "readall0", "read:all")
    client = await connect(open_areas)
    for path in ("/api/v1/clusters", "/api/v1/whoami", JOBS):
        assert await error(client, path, bearer(text)) == (401, told)
    for path in ("/", "/metrics", "/-/healthy"):
        answer = await client.get(path, headers=bearer(text))
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="hpc-aggregator", error="invalid_token"'
        assert text not in await answer.text() or not text


async def test_expired_and_revoked_tokens_are_told_by_id_when_that_was(connect: Any, file: Path) -> None:
    old = make_token(file, "expired0", "read:all", expires=NOW)
    gone = make_token(file, "revoked0", "read:all", revoked=NOW - 60)
    client = await connect(AREAS)
    assert await error(client, JOBS, bearer(old)) == (401, "token expired0 expired on 2023-11-14T22:13:20Z")
    assert await error(client, JOBS, bearer(gone)) == (401, "token revoked0 was revoked on 2023-11-14T22:12:20Z")


async def test_a_token_that_never_expires_and_one_that_has_not_yet_are_valid(connect: Any, file: Path) -> None:
    never = make_token(file, "never000", "read:all", expires=None)
    soon = make_token(file, "soon0000", "read:all", expires=NOW + 0.5)
    client = await connect()
    assert [await status(client, JOBS, bearer(text)) for text in (never, soon)] == [200, 200]


STAFF_ONLY = ["/api/v1/status"]
READ = [JOBS, f"{JOBS}/101", "/api/v1/storage"]


@pytest.mark.parametrize(
    ("scope", "lets"),
    [
        ("read:all", {*STAFF_ONLY, *READ, "/metrics"}),
        ("read:account:def-kim", {*READ}),
        ("metrics", {"/metrics"}),
        ("ingest:narval", set()),
        ("alerts", set()),
    ],
)
async def test_a_scope_lets_read_what_it_says_and_no_more(connect: Any, file: Path, scope: str, lets: set[str]) -> None:
    token = make_token(file, "token000", scope)
    client = await connect()
    for path in (*STAFF_ONLY, *READ, "/metrics"):
        assert await status(client, path, bearer(token)) == (200 if path in lets else 403), path
    for path in ("/api/v1/clusters", "/api/v1/clusters/narval", "/api/v1/whoami"):
        assert await status(client, path, bearer(token)) == 200


async def test_a_missing_scope_is_named(connect: Any, file: Path) -> None:
    client = await connect()
    ingest = bearer(make_token(file, "ingest00", "ingest:beluga"))
    own = bearer(make_token(file, "own00000", "read:own", user="alice"))
    lacks = "this token lacks the scope"
    answer = await client.post("/api/v1/clusters/narval/jobscripts", json={"scripts": []}, headers=ingest)
    assert (answer.status, (await answer.json())["error"]) == (403, f"{lacks} ingest:narval")
    assert await error(client, "/api/v1/status", own) == (403, f"{lacks} read:all")
    assert await error(client, JOBS, ingest) == (
        403, "this token lacks a scope to read: read:all, read:own or read:account:ACCOUNT",
    )  # fmt: skip
    assert (await client.get("/metrics", headers=own)).status == 403


async def test_reload_is_for_staff(connect: Any, file: Path) -> None:
    reload = FakeReload()
    own = bearer(make_token(file, "own00000", "read:own", user="alice"))
    staff = bearer(make_token(file, "all00000", "read:all"))
    client = await connect(reload=reload)
    assert await status(client, "/-/reload", own, "POST") == 403
    assert reload.calls == 0
    assert await status(client, "/-/reload", staff, "POST") == 200
    assert reload.calls == 1


async def test_an_ingest_token_reads_open_metrics_as_anybody_does(connect: Any, file: Path) -> None:
    token = make_token(file, "ingest00", "ingest:narval")
    client = await connect(frozenset({HEALTH, METRICS}))
    assert await status(client, "/metrics", bearer(token)) == 200


async def test_on_loopback_an_identity_is_used_when_it_is_shown(connect: Any, file: Path) -> None:
    token = make_token(file, "own00000", "read:own", user="alice")
    client = await connect(AREAS)
    jobs = await (await client.get(JOBS, headers=bearer(token))).json()
    assert [job["user"] for job in jobs["data"]["jobs"]] == ["alice"]
    assert len((await (await client.get(JOBS)).json())["data"]["jobs"]) == 2


async def test_who_am_i(connect: Any, file: Path) -> None:
    token = make_token(file, "own00000", "read:own", "metrics", user="alice")
    client = await connect()
    answer = await (await client.get("/api/v1/whoami", headers=bearer(token))).json()
    assert answer["data"] == {
        "kind": "token",
        "name": "n-own00000",
        "token_id": "own00000",
        "user": "alice",
        "staff": False,
        "scopes": ["metrics", "read:own"],
        "accounts": {"narval": ["a"]},
        "expires_time": "2023-11-15T22:13:20Z",
        "expires_timestamp_seconds": NOW + 86_400,
    }
    assert await status(client, "/api/v1/whoami") == 401


async def test_where_no_identity_is_needed_the_service_says_so(connect: Any) -> None:
    answer = await (await (await connect(AREAS)).get("/api/v1/whoami")).json()
    assert (answer["data"]["kind"], answer["data"]["staff"], answer["data"]["name"]) == ("open", True, None)


async def test_without_tokens_configured_a_bearer_header_means_nothing(
    idle_service: Service, aiohttp_client: Any
) -> None:
    client = await aiohttp_client(idle_service.app())
    assert await status(client, "/metrics", bearer("whatever")) == 200


async def test_anonymous_clusters_show_totals_without_errors_and_nothing_else(
    idle_service: Service, connect: Any
) -> None:
    client = await connect(frozenset({HEALTH, CLUSTERS}))
    idle_service.store.publish_source(make_status(up=False, error="cannot connect to db1:3306"))
    answer = await (await client.get("/api/v1/clusters")).text()
    assert "narval" in answer
    assert "alice" not in answer
    assert "db1" not in answer
    assert (await client.get("/api/v1/clusters/narval")).status == 200
    assert [await status(client, path) for path in (JOBS, "/api/v1/whoami", "/metrics")] == [401, 401, 401]


async def test_a_token_is_enough_where_others_need_a_password(connect: Any, file: Path) -> None:
    token = make_token(file, "metrics0", "metrics")
    users = {"scraper": bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode()}
    client = await connect(CLOSED, users=users)
    basic = {"Authorization": "Basic " + base64.b64encode(b"scraper:pw").decode()}
    assert await status(client, "/metrics", bearer(token)) == 200
    assert await status(client, JOBS, bearer(token)) == 403
    assert await status(client, "/metrics") == 401
    assert [await status(client, path, basic) for path in (JOBS, "/metrics", "/api/v1/status")] == [200, 200, 200]
    answer = await client.post("/api/v1/clusters/narval/jobscripts", json={"scripts": []}, headers=basic)
    assert (answer.status, (await answer.json())["error"]) == (403, "this user lacks the scope ingest:narval")


async def test_a_trusted_proxy_names_the_user(connect: Any) -> None:
    client = await connect(CLOSED, proxy=LOCALHOST)
    jobs = await (await client.get(JOBS, headers={"X-Grafana-User": "alice"})).json()
    assert [job["user"] for job in jobs["data"]["jobs"]] == ["alice"]
    assert await error(client, "/api/v1/status", {"X-Grafana-User": "alice"}) == (
        403, "this user lacks the scope read:all",
    )  # fmt: skip


async def test_the_header_of_anybody_else_is_not_believed(connect: Any) -> None:
    client = await connect(CLOSED, proxy=ELSEWHERE, rules=Rules(staff_users=frozenset({"root"})))
    headers = {"X-Grafana-User": "root", "X-Forwarded-For": "192.0.2.1"}
    assert await status(client, JOBS, headers) == 401


async def test_behind_a_proxy_on_this_machine_a_request_without_a_user_enters_only_what_is_open(connect: Any) -> None:
    client = await connect(frozenset({HEALTH, METRICS}), proxy=LOCALHOST)
    paths = (JOBS, "/api/v1/clusters", "/api/v1/whoami", "/metrics", "/-/ready")
    assert [await status(client, path) for path in paths] == [401, 401, 401, 200, 200]


@pytest.mark.parametrize("names", [["alice", "bob"], [""], ["x" * 200]], ids=["two", "empty", "long"])
async def test_a_header_that_names_no_single_user_is_refused(connect: Any, names: list[str]) -> None:
    client = await connect(AREAS, proxy=LOCALHOST)
    answer = await client.get(JOBS, headers=[("X-Grafana-User", name) for name in names])
    assert answer.status == 401


async def test_the_user_whom_a_proxy_names_counts_before_the_proxys_own_token(connect: Any, file: Path) -> None:
    """A dashboard with a token of the staff must not show its users everything."""
    token = make_token(file, "staff000", "read:all")
    client = await connect(AREAS, proxy=LOCALHOST)
    named = {**bearer(token), "X-Grafana-User": "alice"}
    assert (await (await client.get("/api/v1/whoami", headers=named)).json())["data"]["user"] == "alice"
    assert await status(client, "/api/v1/status", named) == 403
    assert await status(client, "/api/v1/status", bearer(token)) == 200
    assert await status(client, JOBS, {**bearer("hpca_wrong"), "X-Grafana-User": "alice"}) == 401


@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
async def test_no_header_makes_the_service_fail(connect: Any, text: str) -> None:
    client = await connect()
    value = f"Bearer {text}".encode("latin-1", "replace").decode("latin-1").replace("\x7f", "")
    assert await status(client, JOBS, {"Authorization": value}) == 401
