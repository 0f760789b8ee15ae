"""Signing in at an issuer with a real browser: through all of it once, at two replicas, over a restart and a reload."""

import json
import re
import sys
import time
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from aggregator.app.tokens import create
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, lab_environment, wait_until
from tests.oidc_issuer import CLIENT, SECRET, OidcIssuer, in_a_thread
from tests.scenarios.browser import chromium, opened

_REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = "/ui/status"


class Replica:
    """`serve` with `auth.oidc`; its database answers nobody, which does not matter here."""

    def __init__(self, folder: Path, auth: dict[str, Any], external_port: int, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self.file = folder / f"{port}.yml"
        cluster = {"slurmacct": {"host": LOOPBACK, "port": 1, "user": "a"}, "prometheus": {"url": "http://h"}}
        self.config = {
            "server": {"listen_address": f"{LOOPBACK}:{port}", "external_url": f"http://{LOOPBACK}:{external_port}"},
            "state": {"url": f"sqlite:///{folder}/{port}.db"}, "clusters": {"narval": cluster}, "auth": auth,
        }  # fmt: skip
        self.write()
        self.daemon = Daemon(
            "hpc-aggregator", [sys.executable, "-m", "aggregator", "serve", f"--config.file={self.file}"],
            log=folder / f"{port}.log", env=lab_environment(folder, PYTHONPATH=str(_REPOSITORY)),
            ready=lambda: answers(port),
        )  # fmt: skip

    def __enter__(self) -> "Replica":
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()

    def write(self) -> None:
        self.file.write_text(json.dumps(self.config))

    @property
    def audited(self) -> list[str]:
        return re.findall(r'(?:change|refused): [^"]*', self.daemon.log.read_text())


def status_of(page: Page, url: str) -> int:
    response = page.goto(url)
    assert response is not None
    return response.status


def test_a_person_signs_in_at_the_issuer_once_for_every_replica(tmp_path: Path) -> None:
    issuer, port, other = OidcIssuer(), free_port(), free_port()
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    issuer_port = free_port()
    oidc = {"issuer": f"http://{LOOPBACK}:{issuer_port}", "client_id": CLIENT, "client_secret_file": str(secret)}
    tokens = tmp_path / "tokens.yml"
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):
        create(tokens, name="portal", user=None, scopes=["read:all"], lifetime=3600.0, now=time.time())
    token = printed.getvalue().strip()
    auth = {"anonymous": ["health"], "oidc": oidc, "tokens": {"file": str(tokens)}, "staff": {"users": ["ann"]}}
    with ExitStack() as stack:
        stack.enter_context(in_a_thread(issuer, issuer_port))
        first, second = (stack.enter_context(Replica(tmp_path, auth, port, each)) for each in (port, other))
        browser = stack.enter_context(chromium())
        with opened(browser, first.url, PAGE) as seen:
            page = seen.page
            # Chromium would like a name beside the token.
            complaints = [each for each in seen.complaints if not each.startswith("[DOM]")]
            assert (seen.status, complaints, seen.outside, seen.axe(), seen.overflow()) == (401, [], [], [], 0)
            page.get_by_role("link", name=f"Sign in with {LOOPBACK}").click()
            page.locator("#yes").click()
            page.wait_for_url(first.url + PAGE)
            assert page.get_by_role("heading", level=1).text_content() != "Please sign in"
            assert page.get_by_text("ann", exact=True).count() == 1
            assert "hpca_session" not in page.evaluate("document.cookie")
            names = {cookie["name"] for cookie in page.context.cookies()}
            assert names & {"hpca_session", "hpca_sign_in"} == {"hpca_session"}, "what was begun has ended"
            assert [line.partition(" from=")[0] for line in first.audited] == ["change: who='oidc ann'"]
            assert first.audited[0].endswith("what='session' outcome='signed in'")

            assert status_of(page, second.url + PAGE) == 200, "at the other replica"
            first.daemon.stop()
            first.daemon.start()
            assert status_of(page, first.url + PAGE) == 200, "after a restart"

            secret.write_text(SECRET[::-1])
            wait_until(lambda: status_of(page, second.url + PAGE) == 401, 30, "the sessions of the old secret to end")
            secret.write_text(SECRET)
            wait_until(lambda: status_of(page, second.url + PAGE) == 200, 30, "the old secret")
            second.config["auth"] = {**auth, "staff": {"users": []}}
            second.write()
            second.daemon.hang_up()
            wait_until(lambda: status_of(page, second.url + PAGE) == 403, 30, "rights as they are now")

            status_of(page, first.url + PAGE)
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(first.url + "/")
            assert status_of(page, first.url + PAGE) == 401
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.wait_for_url(first.url + PAGE)
            assert page.get_by_role("heading", level=1).text_content() != "Please sign in", "the form works beside it"
        log = first.daemon.log.read_text() + second.daemon.log.read_text()
        assert not any(hidden in log for hidden in (SECRET, SECRET[::-1], "eyJ", issuer.redeemed[0]["code"]))
