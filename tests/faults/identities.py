"""Identities of all kinds, as a site's clients show them."""

import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from aggregator.app.tokens import create
from tests.scenarios.site import Site

Headers = dict[str, str]
ANYBODY = "nobody known"
# identity → the scopes and the user of its token
TOKENS: dict[str, tuple[list[str], str | None]] = {
    "a scraper": (["metrics"], None),
    "a user": (["read:own"], "ann"),
    "an account's reader": (["read:account:phys"], None),
    "a portal": (["read:all"], None),
    "the agent": (["ingest:{cluster}"], None),
    "another cluster's agent": (["ingest:elsewhere"], None),
}
PROXIED = {"a proxy's user": "ben", "a proxy's user of the staff": "boss"}


def configure(site: Site, **auth: Any) -> dict[str, Headers]:
    """Let nobody in without a token; the tests themselves show the portal's. Give what each identity shows."""
    known = identities(site)
    site.config["auth"] = {"tokens": {"file": str(site.root / "tokens.yml")}, **auth}
    site.headers = dict(known["a portal"])
    return known


def identities(site: Site) -> dict[str, Headers]:
    """Give what each identity shows."""
    shown: dict[str, Headers] = {
        name: {"Authorization": f"Bearer {make_token(site, name, scopes, user)}"}
        for name, (scopes, user) in TOKENS.items()
    }
    return {ANYBODY: {}, **shown, **{name: {"X-Grafana-User": user} for name, user in PROXIED.items()}}


def make_token(site: Site, name: str, scopes: list[str], user: str | None) -> str:
    """Make a token as the command does, and give its text."""
    named = [scope.format(cluster=site.cluster) for scope in scopes]
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):
        create(site.root / "tokens.yml", name=name, user=user, scopes=named, lifetime=3600.0, now=time.time())
    return printed.getvalue().strip()
