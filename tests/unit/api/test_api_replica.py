"""What answers say of the replica that history is read from."""

from typing import Any

import pytest

from .builders import NOW, make_job, make_status, publish_jobs
from .conftest import Service

HISTORY = f"/api/v1/clusters/narval/jobs/history?start={NOW - 3600}"


class Replica:
    """A replica of which there is something to be said."""

    def notes(self) -> list[str]:
        return ["history is read from a replica that is 90 s behind: what came later is missing"]


@pytest.fixture
async def replicated(idle_service: Service, aiohttp_client: Any) -> Service:
    """The API of a cluster that has a replica."""
    idle_service.replica = Replica()
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service


def publish(service: Service, **changes: Any) -> None:
    publish_jobs(service.store, make_job(job_id=4711))
    service.store.publish_source(make_status(source="slurmacct_replica", **changes))


@pytest.mark.parametrize("path", [HISTORY, "/api/v1/clusters/narval/jobs/4711"])
async def test_answers_of_history_say_it(replicated: Service, path: str) -> None:
    publish(replicated)
    body = await (await replicated.get(path)).json()
    assert Replica().notes()[0] in body.get("warnings", ()), body


@pytest.mark.parametrize("path", [HISTORY, "/api/v1/clusters/narval/jobs"])
async def test_without_a_replica_there_is_nothing_to_be_said(service: Service, path: str) -> None:
    publish_jobs(service.store, make_job(job_id=4711))
    assert "warnings" not in await (await service.get(path)).json()


@pytest.mark.parametrize("path", ["/api/v1/clusters/narval/jobs", "/api/v1/clusters/narval", "/api/v1/clusters"])
async def test_what_is_live_does_not_depend_on_it(replicated: Service, path: str) -> None:
    publish(replicated, up=False, error="gone")
    assert "warnings" not in await (await replicated.get(path)).json()


async def test_its_lag_is_in_the_freshness_of_the_cluster_and_in_the_status(service: Service) -> None:
    publish(service, lag_seconds=12.5)
    of_cluster = (await service.data("/api/v1/clusters/narval"))["sources"]
    of_all = (await service.data("/api/v1/status"))["sources"]
    for sources in (of_cluster, of_all):
        lags = {each["source"]: each.get("lag_seconds", "none") for each in sources}
        assert lags == {"slurmacct": "none", "slurmacct_replica": 12.5}


async def test_a_replica_alone_does_not_make_the_service_ready(service: Service) -> None:
    publish_jobs(service.store, make_job(), status=make_status(up=False, last_success=None, error="refused"))
    service.store.publish_source(make_status(source="slurmacct_replica"))
    assert (await service.get("/-/ready")).status == 503
