"""Who may come in: every route for every identity, and what is open without one."""

import json
import re
from collections.abc import Iterator

from aiohttp import web

from aggregator.api.application import setup_routes
from aggregator.api.areas import ALERTS, CLUSTERS, HEALTH, INGEST, METRICS, READ, STAFF, WHOAMI
from aggregator.api.route import AREAS_OF_PATHS
from aggregator.app.lists import lists_of
from tests.faults.identities import ANYBODY, PROXIED, SIGNED_ON, TOKENS, configure
from tests.scenarios.site import Site

READERS = {"a user", "an account's reader", "a portal", *SIGNED_ON, *PROXIED}
OF_THE_STAFF = {"a portal", "a proxy's user of the staff", "staff of the single sign-on"}
KNOWN = {*TOKENS, *SIGNED_ON, *PROXIED}
MAY_ENTER: dict[str, set[str]] = {
    HEALTH: {ANYBODY, *KNOWN},
    METRICS: {"a scraper", *OF_THE_STAFF},
    CLUSTERS: KNOWN,
    WHOAMI: KNOWN,
    READ: READERS,
    STAFF: OF_THE_STAFF,
    INGEST: {"the agent"},
    ALERTS: {"Alertmanager"},
}
NAMES = {"job_id": "100", "user": "ann", "account": "phys", "node": "node01", "filesystem": "project", "group": "phys",
         "project": "p", "uuid": "u"}  # fmt: skip


def routes() -> Iterator[tuple[str, str, str]]:
    """Give method, path and area of every route of the application, of lists too."""
    app = web.Application()
    setup_routes(app, lists_of())
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        yield route.method, path, app[AREAS_OF_PATHS][path]


def log_of(site: Site) -> str:
    return site.service.daemon.log.read_text()


def test_every_route_lets_in_those_whom_its_area_lets_in_and_nobody_else(site: Site) -> None:
    """Generated from the routes: one that declares no area fails here. On loopback, where auth holds as elsewhere."""
    known = configure(
        site,
        staff={"users": ["boss"], "groups": ["hpc-staff"]},
        trusted_proxy={"networks": ["127.0.0.1/32"], "header": "X-Grafana-User"},
    )
    # The walk asks more often than a client may.
    site.config["server"]["bounds"] = {"requests_per_second": 1000, "burst": 10000}
    site.job(100, id_user=1000, id_assoc=10)
    service = site.start()
    service.headers = {}

    wrong = []
    walked = 0
    for method, route, area in routes():
        path = re.sub(r"\{(\w+)\}", lambda found: {"cluster": site.cluster, **NAMES}[found[1]], route)
        for name, headers in known.items():
            status, _ = service.get(path, headers, method)
            wanted = 401 if name == ANYBODY else 403
            walked += 1
            if (name in MAY_ENTER[area]) == (status in (401, 403)) or (status in (401, 403) and status != wanted):
                wrong.append(f"{method} {path} as {name}: {status}")
    assert wrong == []
    assert walked > 500
    assert [service.get(path)[0] for path in ("/nowhere", "/api/v1/nothing")] == [401, 401]
    assert "open: no auth is configured" not in log_of(site)
    assert "auth.tokens.file: every user of this machine can" not in log_of(site)


def test_a_site_may_still_open_its_metrics_and_is_warned(site: Site) -> None:
    configure(site, anonymous=["health", "metrics"])
    (site.root / "tokens.yml").chmod(0o644)
    service = site.start()
    service.headers = {}
    paths = ("/metrics", "/api/v1/clusters", f"/api/v1/clusters/{site.cluster}/jobs")
    assert [service.get(path)[0] for path in paths] == [200, 401, 401]
    assert "configuration: auth.anonymous: metrics: everybody who reaches" in log_of(site)
    assert "auth.tokens.file: every user of this machine can read" in log_of(site)


def test_without_auth_loopback_is_open_and_the_log_says_so_once(site: Site) -> None:
    service = site.start()
    assert json.loads(service.get("/api/v1/whoami")[1])["data"]["kind"] == "open"
    said = "open: no auth is configured, everybody on this machine can read and change everything"
    assert log_of(site).count(said) == 1
