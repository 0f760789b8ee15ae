import asyncio
import logging
from typing import Any

import pytest

from aggregator.config import Bounds
from aggregator.model.view import ClusterView

from .builders import NOW, FakeReload, make_status
from .conftest import Service


async def ready(service: Service) -> tuple[int, list[str]]:
    response = await service.get("/-/ready")
    return response.status, (await response.text()).splitlines()


async def test_healthy_needs_nothing(service: Service) -> None:
    response = await service.get("/-/healthy")

    assert (response.status, response.content_type, await response.text()) == (200, "text/plain", "Healthy.\n")


async def test_not_ready_before_anything_is_known(service: Service) -> None:
    assert await ready(service) == (503, ["Not ready: not every source has been tried yet."])


async def test_not_ready_until_every_source_has_been_tried(service: Service) -> None:
    service.store.publish_source(make_status())
    service.store.publish_source(make_status("robinhood", "project", up=False, last_attempt=None, last_success=None))

    assert await ready(service) == (
        503,
        [
            "Not ready: not every source has been tried yet.",
            "robinhood project: no data yet",
            "slurmacct narval: data 10 s old",
        ],
    )


async def test_not_ready_while_no_source_could_be_read(service: Service) -> None:
    service.store.publish_source(make_status(up=False, last_success=None, error="connection refused by db1"))

    assert await ready(service) == (
        503,
        ["Not ready: no source could be read yet.", "slurmacct narval: no data yet, last fetch failed"],
    )


async def test_ready_with_one_source_for_sources_fail_alone(service: Service) -> None:
    service.store.publish_source(make_status())
    service.store.publish_source(make_status("prometheus", up=False, last_success=None))

    assert await ready(service) == (
        200,
        ["Ready.", "prometheus narval: no data yet, last fetch failed", "slurmacct narval: data 10 s old"],
    )


@pytest.mark.parametrize(("seconds", "status"), [(300, 200), (301, 503)])
async def test_not_ready_when_all_data_are_stale(service: Service, seconds: float, status: int) -> None:
    service.store.publish_source(make_status(up=False, last_success=NOW - seconds))

    assert (await ready(service))[0] == status


async def test_a_source_of_the_whole_site_has_no_scope(service: Service) -> None:
    service.store.publish_source(make_status("allocations", ""))

    assert (await ready(service))[1] == ["Ready.", "allocations: data 10 s old"]


async def test_readiness_does_not_name_hosts(service: Service) -> None:
    service.store.publish_source(make_status(up=False, error="connection refused by db1:3306"))

    assert "db1" not in " ".join((await ready(service))[1])


@pytest.mark.parametrize(
    ("mistake", "status", "text"),
    [
        (None, 200, "Reloaded.\n"),
        ("config.yml:3: clusters: missing", 500, "failed to reload config: config.yml:3: clusters: missing\n"),
    ],
)
async def test_reload_tells_the_outcome(
    idle_service: Service, aiohttp_client: Any, mistake: str | None, status: int, text: str
) -> None:
    reload = FakeReload(mistake)
    client = await aiohttp_client(idle_service.app(reload=reload))

    response = await client.post("/-/reload")

    assert (response.status, await response.text(), reload.calls) == (status, text, 1)


async def test_reload_by_get_is_refused_as_text(service: Service) -> None:
    response = await service.get("/-/reload")

    assert (response.status, response.headers["Allow"], response.content_type) == (405, "POST", "text/plain")
    assert await response.text() == "method GET is not allowed here, only POST\n"


@pytest.mark.parametrize(
    ("query", "groups"),
    [
        ("", None),
        ("?collect[]=jobs", {"jobs"}),
        ("?collect[]=jobs&collect[]=storage", {"jobs", "storage"}),
        ("?collect%5B%5D=users,accounts", {"users", "accounts"}),
    ],
)
async def test_metrics_are_of_the_groups_asked_for(service: Service, query: str, groups: set[str] | None) -> None:
    response = await service.get(f"/metrics{query}")

    assert await response.text() == "# metrics\n"
    assert service.page.asked == [groups]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "collect[]=job",
            'collect[]: must be one of accounts, cloud, jobs, nodes, service, storage, users, got "job"\n',
        ),
        ("collect=jobs", "collect: unknown parameter; known are collect[]\n"),
    ],
)
async def test_a_mistaken_group_is_refused_as_text(service: Service, query: str, text: str) -> None:
    response = await service.get(f"/metrics?{query}")

    assert (response.status, response.content_type, await response.text()) == (400, "text/plain", text)


async def test_status_tells_all_about_the_sources(service: Service) -> None:
    service.store.publish_source(
        make_status("prometheus", up=False, error="timeout", failed_inputs={"threads": "timeout"}, rejected={"cpus": 2})
    )
    service.store.publish_source(make_status(features={"job_script": True}))

    data = await service.data("/api/v1/status")

    assert (data["version"], data["external_url"]) == ("1.2.3", "https://hpc.example.org/")
    prometheus, slurmacct = data["sources"]
    assert (prometheus["source"], prometheus["scope"], prometheus["up"]) == ("prometheus", "narval", False)
    assert (prometheus["error"], prometheus["failed_inputs"]) == ("timeout", {"threads": "timeout"})
    assert prometheus["rejected"] == {"cpus": 2}
    assert (slurmacct["age_seconds"], slurmacct["error"], slurmacct["stale"]) == (10.0, None, False)
    assert slurmacct["last_success_time"] == "2023-11-14T22:13:10Z"
    assert slurmacct["features"] == {"job_script": True}


@pytest.mark.parametrize("own", ["state", "ledger"])
async def test_what_the_service_itself_keeps_does_not_make_it_ready(service: Service, own: str) -> None:
    service.store.publish_source(make_status(last_success=None, up=False))
    service.store.publish_source(make_status(own))
    response = await service.get("/-/ready")

    assert (response.status, (await response.text()).splitlines()[0]) == (
        503,
        "Not ready: no source could be read yet.",
    )


async def test_a_source_that_was_read_is_not_ready_before_its_snapshot_is_published(service: Service) -> None:
    service.store.publish_source(make_status())
    service.store.publish_cluster(ClusterView("narval", 0.0))
    response = await service.get("/-/ready")
    assert (response.status, (await response.text()).splitlines()[0]) == (
        503,
        "Not ready: the first refresh has not ended yet.",
    )

    service.store.publish_cluster(ClusterView("narval", service.now))
    assert (await service.get("/-/ready")).status == 200


async def test_a_reload_goes_on_and_is_audited_when_its_time_is_up(
    idle_service: Service, aiohttp_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aggregator.audit")
    released = asyncio.Event()

    async def reload() -> None:
        await released.wait()

    bounds = Bounds(request_timeout="1s")
    client = await aiohttp_client(idle_service.app(reload=reload, bounds=bounds))
    assert (await client.post("/-/reload")).status == 504
    assert "change:" not in caplog.text
    released.set()
    async with asyncio.timeout(10):
        while "outcome='reloaded'" not in caplog.text:
            await asyncio.sleep(0)
