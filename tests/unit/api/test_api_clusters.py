import pytest

from aggregator.api.totals import total
from aggregator.join.sums import sum_by_account
from aggregator.model.view import ClusterView, Sums

from .builders import GIB, JOBS, NOW, make_job, make_status, publish_jobs, publish_space
from .conftest import Service


async def test_a_cluster_shows_its_totals_and_freshness(service: Service) -> None:
    jobs = make_job(1), make_job(2, account="rrg-lee")
    publish_jobs(service.store, *jobs, accounts=sum_by_account(jobs))

    data = await service.data("/api/v1/clusters/narval")

    assert (data["cluster"], data["as_of_time"]) == ("narval", "2023-11-14T22:13:10Z")
    assert data["jobs"] == {"running": 2}
    assert data["allocated"] == {"cpus": 8, "memory_bytes": 16 * GIB, "gpus": {"a100": 4}}
    assert (data["used"]["cpus"]["value"], data["wasted"]["cpus"]["value"]) == (3.0, 5.0)
    assert data["used"]["memory"]["coverage"] == 0.5
    assert data["sources"] == [
        {
            "source": "slurmacct",
            "up": True,
            "stale": False,
            "last_success_time": "2023-11-14T22:13:10Z",
            "last_success_timestamp": NOW - 10,
            "error": None,
        }
    ]


async def test_the_list_has_the_same_of_every_cluster(service: Service) -> None:
    publish_jobs(service.store, make_job())

    listed = (await service.data("/api/v1/clusters"))["clusters"]
    assert listed == [await service.data("/api/v1/clusters/narval")]


async def test_totals_without_accounting_are_unknown_not_zero(service: Service) -> None:
    publish_jobs(service.store, status=make_status(up=False, last_success=None, error="refused"))

    body = await (await service.get("/api/v1/clusters")).json()

    (cluster,) = body["data"]["clusters"]
    assert {cluster[name] for name in ("jobs", "allocated", "used", "wasted", "waste_jobs")} == {None}
    assert cluster["sources"][0]["stale"] is True
    assert body["warnings"] == ['slurmacct of "narval": refused']


async def test_an_unknown_cluster_is_not_found(service: Service) -> None:
    publish_space(service.store)
    assert await service.failure("/api/v1/clusters/x") == (
        404,
        "not_found",
        'cluster "x": not configured; this service has: none',
    )


@pytest.mark.parametrize("path", ["clusters/x/jobs", "clusters/x/users/ann", "storage/x", "cloud/projects/x"])
async def test_a_service_that_has_opened_no_source_yet_cannot_say_what_there_is_not(
    service: Service, path: str
) -> None:
    response = await service.get(f"/api/v1/{path}")
    assert response.status == 503
    assert response.headers["Retry-After"] == "2"
    assert (await response.json())["error"] == "the service is starting, and has read nothing yet"


def test_coverage_is_weighted_by_what_is_held() -> None:
    large = Sums("a", allocated_cpus=30, used_cpus=10.0, coverage={"cpu": 1.0})
    small = Sums("b", allocated_cpus=10, coverage={"cpu": 0.0})

    added = total([large, small])

    assert added.coverage == {"cpu": pytest.approx(0.75)}
    assert (added.used_cpus, added.used_gpus) == (10.0, None)


def test_the_total_of_nothing_is_nothing() -> None:
    assert total([]) == Sums("")


async def test_a_cluster_whose_accounting_nobody_has_tried_is_unavailable(service: Service) -> None:
    service.store.publish_cluster(ClusterView(cluster="narval", time=NOW))

    assert await service.failure(JOBS) == (503, "unavailable", 'slurmacct of "narval": not fetched yet')
