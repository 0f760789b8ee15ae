"""Access tokens of a single sign-on: who is let in, and which attacks are not."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.issuer import (
    AUDIENCE,
    ISSUER,
    KeyServer,
    SigningKey,
    claims,
    forged,
    key_set,
    replace_file,
)
from tests.scenarios.site import Site

RSA, EC = SigningKey("r1"), SigningKey("e1", "ES256")
STRANGER = SigningKey("r1")
DAY = 86_400


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def attacks() -> dict[str, str]:
    now = int(time.time())
    header = {"typ": "JWT", "kid": "r1"}
    return {
        "algorithm none": forged({**header, "alg": "none"}, claims()),
        "algorithm nOnE": forged({**header, "alg": "nOnE"}, claims()),
        "HS256 with the public key": forged({**header, "alg": "HS256"}, claims(), RSA.public_pem),
        "HS256 called RS256": forged({**header, "alg": "RS256"}, claims(), RSA.public_pem),
        "ES256 for an RSA key": EC.token({"kid": "r1"}),
        "an algorithm that is not pinned": SigningKey("r1", "RS512").token(),
        "another's key under this id": STRANGER.token(),
        "an unknown key": RSA.token({"kid": "r9"}),
        "a key of its own": RSA.token({"kid": "r9", "jwk": RSA.listed(), "jku": "http://127.0.0.1:9/certs"}),
        "a critical header that is not known": RSA.token({"crit": ["x"], "x": 1}),
        "another issuer": RSA.token(iss="https://evil.example.org"),
        "no issuer": RSA.token(iss=None),
        "another audience": RSA.token(aud="payroll"),
        "no audience": RSA.token(aud=None),
        "expired": RSA.token(exp=now - 60),
        "no expiry": RSA.token(exp=None),
        "not yet valid": RSA.token(nbf=now + DAY),
        "issued tomorrow": RSA.token(iat=now + DAY),
        "no user": RSA.token(sub=None),
        "a user with a line break": RSA.token(sub="ann\nroot"),
        "a long user": RSA.token(sub="a" * 200),
        "changed": RSA.token()[:-8] + "AAAAAAAA",
        "not base64": "a.b.c",
        "huge": "a" * 7900,
    }


@pytest.fixture
def server() -> Iterator[KeyServer]:
    server = KeyServer(key_set(RSA, EC))
    server.start()
    yield server
    server.stop()


def configure(site: Site, **jwt: Any) -> None:
    site.config["auth"] = {
        "anonymous": ["health", "metrics"],
        "jwt": {"issuer": ISSUER, "audience": AUDIENCE, **jwt},
    }


def whoami(site: Site, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    status, body = site.service.get("/api/v1/whoami", headers)
    return status, json.loads(body).get("data", {})


def test_a_signed_token_is_its_user_and_no_attack_is_anybody(site: Site, server: KeyServer) -> None:
    configure(site, jwks_url=server.url, groups_claim="groups")
    site.config["auth"]["staff"] = {"groups": ["hpc-staff"]}
    site.job(100)
    service = site.start()
    for key in (RSA, EC):
        status, who = whoami(site, bearer(key.token()))
        assert (status, who["kind"], who["user"], who["staff"]) == (200, "jwt", "ann", False)
    assert whoami(site, bearer(RSA.token(aud=["payroll", AUDIENCE], exp=int(time.time()) - 5)))[0] == 200, "leeway"
    assert whoami(site, bearer(RSA.token(sub="cora", groups=["x", "hpc-staff"])))[1]["staff"]
    assert not whoami(site, bearer(RSA.token(sub="cora", groups="hpc-staff-2")))[1]["staff"]
    assert service.get("/api/v1/status", bearer(RSA.token()))[0] == 403
    boss = bearer(RSA.token(groups=["hpc-staff"]))
    assert service.data("/api/v1/status", boss)["access_tokens"] == {"keys": 2, "error": None}

    log = service.daemon.log
    for name, text in attacks().items():
        refused = log.read_text().count("refused: who='unknown'")
        status, body = service.get("/api/v1/whoami", bearer(text))
        assert (name, status) == (name, 401)
        assert text not in body.decode()
        assert log.read_text().count("refused: who='unknown'") == refused + 1, name
    assert "eyJ" not in log.read_text(), "no token is logged"

    # Unknown keys make no storm of fetches, and a server that is gone locks nobody out.
    for number in range(50):
        assert service.get("/api/v1/whoami", bearer(RSA.token({"kid": f"x{number}"})))[0] == 401
    assert 1 <= server.asked <= 4
    server.stop()
    assert whoami(site, bearer(RSA.token()))[0] == 200


def test_keys_are_changed_without_a_restart_and_a_server_that_is_down_is_told(site: Site, server: KeyServer) -> None:
    first, second = SigningKey("k1"), SigningKey("k2")
    server.keys, server.status = key_set(first), 503
    configure(site, jwks_url=server.url, jwks_interval="200ms")
    service = site.start()
    log = service.daemon.log
    site.wait(lambda: "auth.jwt: keys not read" in log.read_text(), "the failure, before the first token comes")
    status, body = service.get("/api/v1/whoami", bearer(first.token()))
    assert (status, "the keys cannot be read" in body.decode()) == (503, True)
    assert service.get("/metrics")[0] == 200, "who shows no token is not concerned"

    server.status = 200
    site.wait(lambda: whoami(site, bearer(first.token()))[0] == 200, "the keys to be read")
    server.keys = key_set(first, second)
    site.wait(lambda: whoami(site, bearer(second.token()))[0] == 200, "the new key to be known")
    assert whoami(site, bearer(first.token()))[0] == 200
    server.keys = key_set(second)
    site.wait(lambda: whoami(site, bearer(first.token()))[0] == 401, "the old key to be forgotten")
    # What is no key set leaves the keys that were known.
    server.keys, asked = "{", server.asked
    site.wait(lambda: whoami(site, bearer(second.token()))[0] == 200 and server.asked > asked + 2, "other readings")
    assert whoami(site, bearer(second.token()))[0] == 200
    assert log.read_text().count("auth.jwt: keys not read") == 2, "once when it begins"


def test_a_header_of_its_own_and_a_pattern_name_the_user(site: Site) -> None:
    """As Cloudflare Access has it: keys in a file, the token in a header, and an address as the claim."""
    file = site.root / "jwks.json"
    replace_file(file, key_set(RSA))
    configure(
        site, jwks_file=str(file), header="Cf-Access-Jwt-Assertion", user_claim="email",
        user_pattern=r"([a-z]+)@example\.org",
    )  # fmt: skip
    service = site.start()
    shown = {"Cf-Access-Jwt-Assertion": RSA.token(email="ann@example.org")}
    assert whoami(site, shown)[1]["user"] == "ann"
    for other in ("ann@example.org.evil.net", "ann@evil.net", "", 5):
        assert whoami(site, {"Cf-Access-Jwt-Assertion": RSA.token(email=other)})[0] == 401
    assert whoami(site, bearer(RSA.token(email="ann@example.org")))[0] == 401, "not where it is not looked for"
    replace_file(file, key_set(EC))
    site.wait(lambda: whoami(site, shown)[0] == 401, "the changed file")
    assert service.get("/-/healthy")[0] == 200
