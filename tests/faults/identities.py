"""Identities of all kinds, as a site's clients show them."""

import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from aggregator.app.tokens import create
from tests.faults.issuer import AUDIENCE, ISSUER, SigningKey, key_set, replace_file
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
    "Alertmanager": (["alerts"], None),
}
SIGNED_ON: dict[str, dict[str, Any]] = {
    "a user of the single sign-on": {},
    "staff of the single sign-on": {"groups": ["hpc-staff"]},
}
_KEY = SigningKey("e1", "ES256")
PROXIED = {"a proxy's user": "ben", "a proxy's user of the staff": "boss"}


def configure(site: Site, **auth: Any) -> dict[str, Headers]:
    """Let nobody in without a token; the tests themselves show the portal's. Give what each identity shows."""
    known = identities(site)
    jwt = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(site.root / "jwks.json"), "groups_claim": "groups"}
    site.config["auth"] = {"tokens": {"file": str(site.root / "tokens.yml")}, "jwt": jwt, **auth}
    site.headers = dict(known["a portal"])
    return known


def identities(site: Site) -> dict[str, Headers]:
    """Give what each identity shows."""
    shown: dict[str, Headers] = {
        name: {"Authorization": f"Bearer {make_token(site, name, scopes, user)}"}
        for name, (scopes, user) in TOKENS.items()
    }
    replace_file(site.root / "jwks.json", key_set(_KEY))
    shown |= {name: {"Authorization": f"Bearer {_KEY.token(**claims)}"} for name, claims in SIGNED_ON.items()}
    return {ANYBODY: {}, **shown, **{name: {"X-Grafana-User": user} for name, user in PROXIED.items()}}


def make_token(site: Site, name: str, scopes: list[str], user: str | None) -> str:
    """Make a token as the command does, and give its text."""
    named = [scope.format(cluster=site.cluster) for scope in scopes]
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):
        create(site.root / "tokens.yml", name=name, user=user, scopes=named, lifetime=3600.0, now=time.time())
    return printed.getvalue().strip()
