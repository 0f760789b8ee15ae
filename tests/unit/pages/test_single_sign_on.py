"""Signing in at an issuer: who comes back from there as somebody, and which attacks let nobody in."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from aggregator.api.access import HEALTH
from aggregator.api.errors import TryAgain
from aggregator.api.oidc import NotBegun, SingleSignOn
from aggregator.api.session import COOKIE, SECONDS
from aggregator.api.tokens.store import TokenStore
from aggregator.app.auth import configure_auth
from aggregator.config import parse
from aggregator.pages.single_sign_on import COOKIE as BEGUN
from tests.faults.issuer import SigningKey, forged
from tests.oidc_issuer import KEY, SECRET, OidcIssuer, settings_of, signed_otherwise, whole
from tests.unit.api.builders import NOW, make_job, make_settings, publish_jobs
from tests.unit.api.conftest import Service

SITE = "clusters: { narval: { slurmacct: { host: db1, user: u }, prometheus: { url: 'http://p:9090' } } }\n"
EXTERNAL = "http://hpc.example.org/aggregator/"
JOB = "/ui/clusters/narval/jobs/101"
Client = TestClient[Any, Any]


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    made = OidcIssuer()
    server = TestServer(made.app())
    await server.start_server(shutdown_timeout=0.1)
    made.url = str(server.make_url("")).rstrip("/")
    yield made
    made.may_answer.set()
    await server.close()


def sign_on_at(issuer: OidcIssuer, external: str = EXTERNAL, staff: str = "{}", **more: Any) -> SingleSignOn:
    auth = settings_of(issuer.url, **more)[:-1] + f', "staff": {staff}}}'
    config = parse(f"server: {{ external_url: '{external}' }}\n{SITE}auth: {auth}")
    settings = make_settings(external_url=external)
    assert config.auth
    configure_auth(settings, config.auth)
    assert settings.ways.single_sign_on
    return settings.ways.single_sign_on


@dataclass
class Person:
    """A browser at a service, which a person takes to the issuer and back."""

    client: Client
    issuer: OidcIssuer

    async def get(self, path: str, **request: Any) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **request)

    async def begin(self, to: str = JOB) -> str:
        """Begin, and give the issuer's address."""
        answer = await self.get(f"/ui/sign-in/start?to={quote(to, safe='')}")
        assert answer.status == 303, await answer.text()
        return answer.headers["Location"]

    async def consent(self, place: str) -> str:
        """Sign in at the issuer, and give the path to which it sends back."""
        async with self.client.session.get(place.replace("/authorize", "/consent"), allow_redirects=False) as answer:
            back = answer.headers["Location"]
        assert back.startswith(f"{EXTERNAL}ui/sign-in/callback?")
        return back.removeprefix(EXTERNAL[:-1])

    async def sign_in(self, to: str = JOB) -> ClientResponse:
        return await self.get(await self.consent(await self.begin(to)))

    async def who(self) -> dict[str, Any]:
        answer = await (await self.get("/api/v1/whoami")).json()
        return dict(answer.get("data", {}))


People = Callable[..., Any]


@pytest.fixture
def come(idle_service: Service, aiohttp_client: Any, issuer: OidcIssuer) -> People:
    """Let somebody come to a service, or to another replica with the same cookies."""
    publish_jobs(idle_service.store, make_job(101, user="ann"), make_job(102, user="bob", account="def-bob"))

    async def make(cookies: Client | None = None, tokens: Path | None = None, **more: Any) -> Person:
        app = idle_service.app(
            open_areas=frozenset({HEALTH}), single_sign_on=sign_on_at(issuer, **more),
            external_url=more.get("external", EXTERNAL), tokens=TokenStore(tokens) if tokens else None,
        )  # fmt: skip
        jar = cookies.session.cookie_jar if cookies else CookieJar(unsafe=True)
        return Person(await aiohttp_client(app, cookie_jar=jar), issuer)

    return make


async def test_who_signs_in_at_the_issuer_is_led_to_the_page_that_was_asked_for(come: People) -> None:
    ann = await come()
    asked = await ann.get(JOB)
    text = await asked.text()
    assert asked.status == 401
    assert "Sign in with 127.0.0.1" in text
    assert f'href="{EXTERNAL}ui/sign-in/start?to=%2Fui%2Fclusters%2Fnarval%2Fjobs%2F101"' in text
    assert 'name="token"' not in text, "without auth.tokens nobody is asked for one"
    assert "Se connecter avec" in await (await ann.get(JOB, headers={"Accept-Language": "fr"})).text()

    done = await ann.sign_in()
    assert (done.status, done.headers["Location"]) == (303, f"../..{JOB}")
    cookie = done.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", "")
    assert int(cookie["max-age"]) == SECONDS
    assert done.cookies[BEGUN]["max-age"] == "0", "what was begun ends once"
    assert "ann" not in cookie.value

    assert (await ann.get(JOB)).status == 200
    assert "Sign out" in await (await ann.get(JOB)).text()
    assert (await ann.get("/ui/clusters/narval/jobs/102")).status == 404, "rights are the API's"
    assert (await ann.get("/ui/status")).status == 403
    who = await ann.who()
    assert (who["kind"], who["user"], who["staff"], who["scopes"]) == ("oidc", "ann", False, ["read:own"])
    assert who["expires_timestamp_seconds"] == NOW + SECONDS, "the session's time, not that of the ID token"
    assert (await ann.client.post("/-/reload")).status == 401, "a cookie lets read, and do nothing"
    await ann.client.post("/ui/sign-out", allow_redirects=False)
    assert (await ann.get(JOB)).status == 401


async def test_a_session_holds_at_every_replica_and_after_a_restart_until_its_time(
    come: People, idle_service: Service
) -> None:
    """Each service of the test begins with nothing but its configuration."""
    first = await come()
    place = await first.begin()
    second = await come(first.client)
    assert (await second.get(await second.consent(place))).status == 303, "one ends what the other has begun"
    third = await come(first.client)
    third.issuer.is_down = True
    assert (await third.who())["user"] == "ann", "who is signed in does not need the issuer"
    idle_service.now = NOW + SECONDS - 1
    assert (await third.who())["user"] == "ann"
    idle_service.now = NOW + SECONDS
    assert await third.who() == {}


@pytest.mark.parametrize("more", [
    {"client_secret": SECRET[::-1]}, {"client_id": "other"}, {"user_claim": "sub"}, {"user_pattern": "(.*)"},
])  # fmt: skip
async def test_with_another_secret_or_reading_of_claims_sessions_are_over(come: People, more: dict[str, str]) -> None:
    ann = await come()
    await ann.sign_in()
    assert (await ann.who())["user"] == "ann"
    assert await (await come(ann.client, **more)).who() == {}


async def test_staff_is_who_is_in_a_group_of_the_staff_now(come: People, issuer: OidcIssuer) -> None:
    issuer.user["groups"] = ["x", "hpc-staff"]
    group = {"staff": '{"groups": ["hpc-staff"]}', "groups_claim": "groups"}
    boss = await come(**group)
    await boss.sign_in()
    assert (await boss.who())["staff"]
    assert (await boss.get("/ui/status")).status == 200
    less = await come(boss.client, **{**group, "staff": '{"groups": ["others"]}'})
    assert not (await less.who())["staff"]


def attacks() -> dict[str, Callable[[dict[str, Any]], str]]:
    """Give what an issuer's token endpoint, or who stands in for it, may answer with."""
    header, now = {"typ": "JWT", "kid": "r1"}, int(time.time())
    return {
        "nonce of another sign-in": signed_otherwise({"nonce": "x" * 43}),
        "no nonce": signed_otherwise({"nonce": None}),
        "a nonce that is no text": signed_otherwise({"nonce": ["x"]}),
        "another audience": signed_otherwise({"aud": "payroll"}),
        "shared with a client, of which it is": signed_otherwise({"aud": ["payroll", "hpc"], "azp": "payroll"}),
        "shared, of whom is not said": signed_otherwise({"aud": ["payroll", "hpc"]}),
        "another issuer": signed_otherwise({"iss": "https://evil.example.org"}),
        "expired": signed_otherwise({"exp": now - 60}),
        "no user": signed_otherwise({"preferred_username": None}),
        "a user with a line break": signed_otherwise({"preferred_username": "ann\nroot"}),
        "algorithm none": lambda said: forged({**header, "alg": "none"}, whole(said)),
        "HS256 with the public key": lambda said: forged({**header, "alg": "HS256"}, whole(said), KEY.public_pem),
        "HS256 with the client's secret": lambda said: forged({**header, "alg": "HS256"}, whole(said), SECRET.encode()),
        "another's key under this id": lambda said: SigningKey("r1").token(**said),
        "an unknown key": lambda said: KEY.token({"kid": "r9"}, **said),
        "nothing": lambda _: "",
        "huge": lambda _: "a" * 20_000,
    }


async def test_no_token_but_that_of_this_sign_in_lets_anybody_in(
    come: People, issuer: OidcIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aggregator.audit")
    ann = await come()
    for name, sign in attacks().items():
        issuer.sign = sign
        caplog.clear()
        done = await ann.sign_in()
        text = await done.text()
        assert (name, done.status, COOKIE in done.cookies) == (name, 401, False)
        assert "You are not signed in: what 127.0.0.1 has answered does not let you in." in text
        assert "eyJ" not in text
        assert [each.getMessage().split(":")[0] for each in caplog.records] == ["refused"], name
    assert await ann.who() == {}


async def test_only_who_has_begun_here_comes_back(come: People) -> None:
    """Missing, foreign, replayed and late states; by them nobody is signed in as somebody else, either."""
    ann, eve = await come(), await come()
    back = await ann.consent(await ann.begin())
    other = await eve.consent(await eve.begin())
    without_state = back.replace("state=", "other=", 1)
    for path in (other, without_state, "/ui/sign-in/callback", back.replace("state=", "state=x")):
        refused = await ann.get(path)
        assert (refused.status, COOKIE in refused.cookies, BEGUN in refused.cookies) == (400, False, False)
        assert "This sign-in was not begun in this browser" in await refused.text()
    stranger = await come()
    assert (await stranger.get(back)).status == 400, "without the cookie"
    assert ann.issuer.redeemed == [], "no code of theirs has left this service"

    kept = {BEGUN: next(each.value for each in ann.client.session.cookie_jar if each.key == BEGUN)}
    assert (await ann.get(back)).status == 303
    assert (await ann.get(back)).status == 400, "once"
    assert (await stranger.get(back, cookies=kept)).status == 403, "even with the cookie: the code is spent"


async def test_a_sign_in_that_takes_too_long_is_over_and_the_cookie_of_it_is_no_session(
    come: People, idle_service: Service
) -> None:
    ann = await come()
    back = await ann.consent(await ann.begin())
    begun = next(each.value for each in ann.client.session.cookie_jar if each.key == BEGUN)
    assert (await (await come()).get("/api/v1/whoami", cookies={COOKIE: begun})).status == 401
    idle_service.now = NOW + 600
    assert (await ann.get(back)).status == 400


async def test_what_the_issuer_says_against_it_is_shown_as_text(come: People, issuer: OidcIssuer) -> None:
    ann = await come()
    state = dict(parse_qsl(urlsplit(await ann.begin()).query))["state"]
    said = {"error": "access_denied", "error_description": "<script>alert(1)</script>\u202e" + "x" * 500}
    strange = await ann.get(f"/ui/sign-in/callback?{urlencode({**said, 'state': 'x'})}")
    assert "access_denied" not in await strange.text(), "what anybody can write in a link is not said here"
    refused = await ann.get(f"/ui/sign-in/callback?{urlencode({**said, 'state': state, 'iss': issuer.url})}")
    text = await refused.text()
    assert (refused.status, issuer.redeemed) == (403, [])
    assert "access_denied &lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "x" * 250 not in text


async def test_an_answer_of_another_issuer_is_refused(come: People, issuer: OidcIssuer) -> None:
    ann = await come()
    query = dict(parse_qsl(urlsplit(await ann.consent(await ann.begin())).query))
    mixed = await ann.get(f"/ui/sign-in/callback?{urlencode({**query, 'iss': 'https://evil.example.org'})}")
    assert (mixed.status, issuer.redeemed) == (403, [])
    issuer.document["authorization_response_iss_parameter_supported"] = True
    bob = await come()
    query = dict(parse_qsl(urlsplit(await bob.consent(await bob.begin())).query))
    del query["iss"]
    assert (await bob.get(f"/ui/sign-in/callback?{urlencode(query)}")).status == 403


@pytest.mark.parametrize("to", [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\t//evil.example", "javascript:alert(1)",
    "/ui/sign-in/start", "/" + "x" * 2000,
])  # fmt: skip
async def test_nobody_is_led_to_another_site_or_round_in_circles(come: People, to: str) -> None:
    place = (await (await come()).sign_in(to)).headers["Location"]
    assert place.startswith("../../")
    assert not place.removeprefix("../../").startswith(("/", "\\", "ui/sign-in"))


async def test_the_service_authenticates_as_the_issuer_wants(come: People, issuer: OidcIssuer) -> None:
    ann = await come()
    await ann.sign_in()
    assert "client_secret" not in issuer.redeemed[0]
    issuer.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    bob = await come()
    assert (await bob.sign_in()).status == 303
    assert issuer.redeemed[1]["client_secret"] == SECRET
    for form in issuer.redeemed:
        assert len(form["code_verifier"]) >= 43
        assert form["redirect_uri"] == f"{EXTERNAL}ui/sign-in/callback"


async def test_the_keys_of_the_issuer_may_change(come: People, issuer: OidcIssuer) -> None:
    ann = await come(jwks_interval="1ms")
    assert (await ann.sign_in()).status == 303
    issuer.keys = [SigningKey("r2", "ES256")]
    assert (await ann.sign_in()).status == 303
    issuer.sign = lambda said: KEY.token(**said)
    assert (await ann.sign_in()).status == 401


async def test_an_issuer_that_is_down_is_said_and_the_other_ways_are_open(
    come: People, issuer: OidcIssuer, tmp_path: Path
) -> None:
    issuer.is_down = True
    ann = await come(jwks_interval="1ms", tokens=tmp_path / "tokens.yml")
    for language, words in (("en", "Nobody can be signed in by 127.0.0.1 now"), ("fr", "Personne ne peut être")):
        down = await ann.get("/ui/sign-in/start", headers={"Accept-Language": language})
        text = await down.text()
        assert down.status == 503
        assert words in text
        assert 'name="token"' in text
    issuer.is_down = False
    assert (await ann.sign_in()).status == 303


ANSWERS: dict[str, tuple[Callable[[], web.Response], int]] = {
    "an error of its own": (lambda: web.Response(status=500), 503),
    "a page": (lambda: web.Response(text="<html>"), 503),
    "no token": (lambda: web.json_response({"access_token": "x"}), 503),
    "a list": (lambda: web.json_response([]), 503),
    "too much": (lambda: web.Response(body=b" " * (2 << 20)), 503),
    "elsewhere": (lambda: web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}), 503),
    "a code that is refused": (lambda: web.json_response({"error": "invalid_grant"}, status=400), 403),
    "a hostile error": (lambda: web.json_response({"error": "<b>" * 500}, status=400), 403),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_the_token_endpoint_answers_nobody_is_let_in(
    come: People, issuer: OidcIssuer, name: str
) -> None:
    issuer.redeem, status = ANSWERS[name]
    done = await (await come()).sign_in()
    assert (done.status, COOKIE in done.cookies) == (status, False)
    assert "<b>" not in (await done.text()).partition("<main")[2]


async def test_a_token_endpoint_that_hangs_is_given_up_and_holds_up_few(
    come: People, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is wrong between the servers is in the log, and not shown to everybody."""
    caplog.set_level("INFO", "aggregator.audit")
    monkeypatch.setattr("aggregator.api.oidc.code.LONGEST_READ_SECONDS", 0.3)
    issuer.hangs = True
    ann = await come()
    done = await ann.sign_in()
    assert (done.status, COOKIE in done.cookies) == (503, False)
    assert "TimeoutError" not in await done.text()
    assert "auth.oidc: no code can be redeemed now: TimeoutError" in caplog.text
    monkeypatch.setattr("aggregator.api.oidc.sign_on._MOST_AT_ONCE", 0)
    assert (await ann.sign_in()).status == 503
    assert "too many people are signing in" in caplog.text
    assert len(issuer.redeemed) <= 1


@pytest.mark.parametrize("document", [
    {"issuer": "https://evil.example.org"}, {"token_endpoint": "http://sso.example.org/token"}, {"jwks_uri": None},
    {"authorization_endpoint": "javascript:alert(1)"}, {"authorization_endpoint": "https://x\r\nSet-Cookie: a=b"},
    {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, {"token_endpoint_auth_methods_supported": None},
])  # fmt: skip
async def test_an_issuer_that_says_nonsense_of_itself_is_not_used(
    come: People, issuer: OidcIssuer, document: dict[str, Any]
) -> None:
    issuer.document = document
    answer = await (await come()).get("/ui/sign-in/start")
    assert (answer.status, "Location" in answer.headers) == (503, False)


async def test_behind_tls_no_cookie_is_sent_in_the_clear(come: People) -> None:
    ann = await come(external="https://hpc.example.org/")
    begun = await ann.get("/ui/sign-in/start")
    assert begun.cookies[BEGUN]["secure"] is True
    assert begun.cookies[BEGUN]["samesite"] == "Lax"
    assert begun.cookies[BEGUN]["httponly"] is True


async def test_a_secret_that_is_rotated_is_used_and_one_that_is_cut_short_lets_nobody_in(
    issuer: OidcIssuer, tmp_path: Path
) -> None:
    file, now = tmp_path / "secret", [0.0]
    file.write_text(f"{SECRET}\n")
    made = sign_on_at(issuer, client_secret=None, client_secret_file=str(file))
    sign_on = SingleSignOn(made.client, made.issuer, made.tokens, lambda: now[0])
    place, cookie = await sign_on.begin(JOB, NOW)
    state = dict(parse_qsl(urlsplit(place).query))["state"]
    assert (await sign_on.begun(cookie, state, NOW)).to == JOB
    for break_it in (lambda: file.write_text("short"), file.unlink):
        break_it()
        now[0] += 2.0
        with pytest.raises(TryAgain, match=r"auth\.oidc\.client_secret"):
            await sign_on.begun(cookie, state, NOW)
    file.write_text(SECRET[::-1])
    with pytest.raises(NotBegun):
        await sign_on.begun(cookie, state, NOW)
