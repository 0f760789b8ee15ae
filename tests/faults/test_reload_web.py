"""The web configuration and its certificates are taken up as they change; broken ones leave what there was."""

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.secured import Secured, certificate, hashed, trust
from tests.lab.process import wait_until

TLS = {"cert_file": "server.crt", "key_file": "server.key"}
LAST = "hpc_aggregator_config_last_reload_successful"
NEEDED = "hpc_aggregator_config_restart_needed"


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Secured]:
    """Serve with a certificate, and have a renewed one at hand."""
    for name in ("old", "new"):
        certificate(tmp_path, name)
    secured = Secured(tmp_path, {"tls_server_config": TLS})
    secured.replace("server", "old")
    with secured:
        yield secured


def test_a_renewed_certificate_needs_no_restart_and_a_broken_one_leaves_the_old(certified: Secured) -> None:
    old, new, both = (trust(certified.folder, *names) for names in (["old"], ["new"], ["old", "new"]))
    failures: list[str] = []
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(0.05):
            status, text = certified.ask("/-/healthy", both)
            failures.extend([text] if status != 200 else [])

    clients = [threading.Thread(target=poll) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        assert (certified.status("/-/healthy", old), certified.status("/-/healthy", new)) == (200, 0)

        certified.replace("server", "new")
        wait_until(lambda: certified.status("/-/healthy", new) == 200, 30, "the renewed certificate")
        assert certified.status("/-/healthy", old) == 0

        (certified.folder / "server.crt").write_text("no certificate")
        wait_until(lambda: certified.samples(LAST, new) == {"{}": 0.0}, 30, "a failure")
        status, answer = certified.ask("/-/reload", new, method="POST")
        assert (status, "the certificate or its key cannot be used" in answer) == (500, True)
        assert certified.log.count("the web configuration stays as it was") == 1

        certified.replace("server", "old")
        wait_until(lambda: certified.samples(LAST, both) == {"{}": 1.0}, 30, "another certificate")
    finally:
        ended.set()
        for client in clients:
            client.join()
    assert failures == []


def test_another_authority_of_clients_needs_no_restart(tmp_path: Path) -> None:
    for name in ("server", "first", "second"):
        certificate(tmp_path, name)
    tls = {**TLS, "client_ca_file": "authority.crt", "client_auth_type": "RequireAndVerifyClientCert"}
    secured = Secured(tmp_path, {"tls_server_config": tls})
    secured.replace("authority", "first", ["crt"])
    first, second = (trust(tmp_path, "server", client=name) for name in ("first", "second"))
    with secured:
        assert (secured.status("/api/v1/status", first), secured.status("/api/v1/status", second)) == (200, 0)
        secured.replace("authority", "second", ["crt"])
        wait_until(lambda: secured.status("/api/v1/status", second) == 200, 30, "the other authority")
        assert secured.status("/api/v1/status", first) == 0
        for client in (first, second):
            client.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (secured.status("/api/v1/status", first), secured.status("/api/v1/status", second)) == (0, 200)
        assert secured.status("/api/v1/status", trust(tmp_path, "server")) == 0


@pytest.mark.soak
def test_users_come_and_go_without_a_restart(tmp_path: Path) -> None:
    with Secured(tmp_path, {}) as secured:
        page = "/api/v1/status"
        assert secured.status(page) == 200, "on loopback, without users"

        secured.web["basic_auth_users"] = {"ann": hashed("first")}
        secured.write()
        wait_until(lambda: secured.status(page) == 401, 30, "passwords")
        assert secured.status(page, login=("ann", "first")) == 200
        assert secured.status("/-/healthy") == 200

        secured.web["basic_auth_users"] = {"ann": hashed("second"), "ben": hashed("third")}
        secured.write()
        # Not by asking: an address that shows wrong passwords is not listened to for a while.
        wait_until(lambda: secured.log.count("web configuration reloaded: ") == 2, 30, "another user")
        assert secured.status(page, login=("ben", "third")) == 200
        assert secured.status(page, login=("ann", "first")) == 401, "though it was right a moment ago"
        assert secured.status(page, login=("ann", "second")) == 200

        secured.web["basic_auth_users"] = {"ann": "no hash"}
        secured.write()
        wait_until(lambda: "the web configuration stays as it was" in secured.log, 30, "a mistake")
        assert "no hash" not in secured.log
        assert secured.status(page, login=("ann", "second")) == 200
        assert secured.status(page) == 401

        del secured.web["basic_auth_users"]
        secured.write()
        wait_until(lambda: secured.status(page) == 200, 30, "no passwords")


def test_what_handshakes_begin_with_needs_a_restart_and_is_named(certified: Secured) -> None:
    context = trust(certified.folder, "old")
    assert certified.ask("/-/reload", context, method="POST") == (200, "Reloaded.\n")
    certified.web["tls_server_config"] = {**TLS, "min_version": "TLS13"}
    certified.write()
    named = '{"key": "tls_server_config.min_version"}'
    wait_until(lambda: certified.samples(NEEDED, context) == {named: 1.0}, 30, "the key by name")
    _, answer = certified.ask("/-/reload", context, method="POST")
    assert answer == "Reloaded.\nneeds a restart: tls_server_config.min_version\n"
