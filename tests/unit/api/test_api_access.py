from typing import Any

import pytest

from aggregator.api.access import API, AREAS, CLUSTERS, HEALTH, METRICS, area_of

from .builders import FakeReload, make_status
from .conftest import Service

CLOSED = "no way to authenticate is configured for this address; see docs/configuration.md: auth, --web.config.file"
PATHS = {
    HEALTH: ["/", "/-/healthy", "/-/ready"],
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


@pytest.mark.parametrize("area", sorted(AREAS))
def test_every_path_has_its_area(area: str) -> None:
    assert {area_of(path) for path in PATHS[area]} == {area}


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
