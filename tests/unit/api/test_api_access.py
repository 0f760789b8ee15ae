from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aggregator.api.application import setup_routes
from aggregator.api.areas import (
    ALERTS,
    API,
    AREAS,
    CLUSTERS,
    HEALTH,
    INGEST,
    METRICS,
    READ,
    STAFF,
    WHOAMI,
)
from aggregator.api.route import AREAS_OF_PATHS
from aggregator.api.tokens.store import TokenStore
from aggregator.app.lists import lists_of

from .builders import FakeReload, make_status
from .conftest import Service
from .tokens import bearer, make_token

CLOSED = "no way to authenticate is configured for this address; see docs/configuration.md: auth, --web.config.file"
PATHS = {
    HEALTH: ["/", "/-/healthy", "/-/ready", "/docs", "/openapi.json"],
    METRICS: ["/metrics"],
    CLUSTERS: ["/api/v1/clusters", "/api/v1/clusters/narval"],
    API: [
        "/api/v1/clusters/",
        "/api/v1/clusters/narval/",
        "/api/v1/whoami",
        "/api/v1/status",
        "/api/v1/clusters/narval/jobs",
        "/api/v1/nothing",
        "/nothing",
        "/-/reload",
    ],
}


def test_every_route_declares_its_area_and_no_other_is_declared() -> None:
    app = web.Application()
    setup_routes(app, lists_of())
    assert {resource.canonical for resource in app.router.resources()} == app[AREAS_OF_PATHS].keys()
    assert set(app[AREAS_OF_PATHS].values()) == {HEALTH, METRICS, CLUSTERS, READ, STAFF, INGEST, ALERTS, WHOAMI}


async def test_a_route_that_declares_nothing_is_the_staffs(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    file = tmp_path / "tokens.yml"
    staff, user = (make_token(file, "staff000", "read:all"), make_token(file, "alice000", "read:own", user="alice"))
    app = idle_service.app(open_areas=frozenset({HEALTH, METRICS, CLUSTERS}), tokens=TokenStore(file))
    app.router.add_get("/new", answer)
    client = await aiohttp_client(app)
    statuses = [(await client.get("/new", headers=shown)).status for shown in ({}, bearer(user), bearer(staff))]
    assert statuses == [401, 403, 200]


@pytest.mark.parametrize("area", sorted(AREAS))
async def test_only_an_open_area_can_be_entered(idle_service: Service, aiohttp_client: Any, area: str) -> None:
    idle_service.store.publish_source(make_status())
    client = await aiohttp_client(idle_service.app(open_areas=frozenset({area})))

    refused = {path for paths in PATHS.values() for path in paths if (await client.get(path)).status == 401}

    assert refused == {path for other, paths in PATHS.items() if other != area for path in paths}


async def test_a_closed_area_says_what_to_do(idle_service: Service, aiohttp_client: Any) -> None:
    idle_service.client = await aiohttp_client(idle_service.app(open_areas=frozenset({HEALTH})))

    assert await idle_service.failure("/api/v1/status") == (401, "unauthorized", CLOSED)
    assert "WWW-Authenticate" in (await idle_service.get("/api/v1/status")).headers


async def test_reload_is_guarded_as_the_api_is(idle_service: Service, aiohttp_client: Any) -> None:
    reload = FakeReload()
    client = await aiohttp_client(idle_service.app(open_areas=frozenset({HEALTH, METRICS}), reload=reload))

    assert (await client.post("/-/reload")).status == 401
    assert reload.calls == 0
