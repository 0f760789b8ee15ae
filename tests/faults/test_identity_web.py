"""The identities of the web configuration: passwords and client certificates."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.faults.doors import Door, make_certificate

PASSWORD = "correct horse"
# As `htpasswd -nBC 10` makes them, and one that is four times quicker to check.
USERS = {name: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode() for name, cost in
         (("scraper", 10), ("former", 8))}  # fmt: skip
OTHER_SOURCES = [f"127.0.0.{number}" for number in range(2, 9)]


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


def test_wrong_passwords_tell_nothing_cost_little_and_lock_out_nobody_who_is_known(root: Path) -> None:
    with Door(root, {"basic_auth_users": USERS}) as door:
        assert door.get("/metrics", basic("scraper", PASSWORD)).status == 200
        assert door.get("/metrics", basic("former", PASSWORD)).status == 200

        def seconds(name: str, source: str) -> float:
            started = time.perf_counter()
            assert door.get("/metrics", basic(name, f"wrong {source}"), source=source).status == 401
            return time.perf_counter() - started

        # The shortest of several is what it takes on a machine that has other things to do.
        took = {name: min(seconds(name, source) for source in OTHER_SOURCES) for name in ("scraper", "former", "x")}
        assert max(took.values()) < 3 * min(took.values()), took

        def guess(number: int) -> int:
            return door.get("/metrics", basic("scraper", f"guess {number}")).status

        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(guess, range(150)))
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= 10, "so many are checked, also when they come at once"
        refused = door.get("/metrics", basic("scraper", "guess"))
        assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
        assert door.get("/metrics", basic("scraper", PASSWORD)).status == 200, "who was known before is not concerned"
        assert door.get("/metrics", basic("scraper", "guess"), source="127.0.0.9").status == 401, "nor are others"
        log = door.daemon.log.read_text()
        wrong = 3 * len(OTHER_SOURCES) + statuses.count(401) + 1
        assert log.count("why='wrong user or password'") == wrong
        assert "guess" not in log


def whoami(door: Door, certificate: str) -> tuple[int, dict[str, Any]]:
    answer = door.get("/api/v1/whoami", certificate=certificate)
    return answer.status, json.loads(answer.text).get("data", {})


def test_the_subject_of_a_client_certificate_is_the_user(root: Path) -> None:
    make_certificate(root, "server", "/CN=server")
    clients = {"ann": "/O=Site/CN=ann", "boss": "/CN=boss", "nameless": "/O=Site", "double": "/CN=ann/CN=boss"}
    for name, subject in clients.items():
        make_certificate(root, name, subject)
    make_certificate(root, "stranger", "/CN=ann")
    (root / "clients.crt").write_text("".join((root / f"{name}.crt").read_text() for name in clients))
    tls = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "clients.crt",
           "client_auth_type": "VerifyClientCertIfGiven"}  # fmt: skip
    auth = {"client_certificates": {"user": "commonName"}, "staff": {"users": ["boss"]}}
    with Door(root, {"tls_server_config": tls}, auth=auth) as door:
        status, who = whoami(door, "ann")
        assert (status, who["kind"], who["user"], who["staff"]) == (200, "certificate", "ann", False)
        assert door.get("/api/v1/status", certificate="ann").status == 403
        assert whoami(door, "boss")[1]["staff"]
        assert door.get("/api/v1/status", certificate="boss").status == 200
        assert [whoami(door, name)[0] for name in ("", "nameless", "double")] == [401, 401, 401]
        with pytest.raises(OSError, match=r"."):
            whoami(door, "stranger")
        assert door.get("/-/healthy").status == 200
