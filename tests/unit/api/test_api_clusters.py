import pytest

from aggregator.api.cluster_lists import ACCOUNTS_PATH, cluster_lists
from aggregator.api.totals import total_json
from aggregator.app.layouts import CLUSTERS
from aggregator.engine.frame import Frames, frame_of
from aggregator.model.view import ClusterView

from .builders import GIB, JOBS, NOW, make_job, make_status, publish_jobs, publish_space
from .conftest import Service

ACCOUNTS = next(each for each in cluster_lists(CLUSTERS) if each.path == ACCOUNTS_PATH)


def seen(frames: Frames) -> ClusterView:
    return ClusterView("narval", NOW, frames={**CLUSTERS.empty(), **frames})


async def test_a_cluster_shows_its_totals_and_freshness(service: Service) -> None:
    publish_jobs(service.store, make_job(1), make_job(2, account="rrg-lee"))

    data = await service.data("/api/v1/clusters/narval")

    assert (data["cluster"], data["as_of_time"]) == ("narval", "2023-11-14T22:13:10Z")
    assert (data["jobs"], data["gpus"]) == (
        [{"state": "running", "count": 2}], [{"gpu_type": "a100", "count": 4}],
    )  # fmt: skip
    assert (data["allocated_cpus"], data["allocated_memory_bytes"], data["allocated_gpus"]) == (8, 16 * GIB, 4)
    assert (data["used_cpus"], data["wasted_cpus"], data["coverage"]["memory"]) == (3.0, 5.0, 0.5)
    assert data["sources"] == [
        {
            "source": "slurmacct",
            "up": True,
            "stale": False,
            "last_success_time": "2023-11-14T22:13:10Z",
            "last_success_timestamp_seconds": NOW - 10,
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
    names = ("jobs", "gpus", "waste", "allocated_cpus", "used_cpus", "wasted_cpus", "power_watts", "coverage")
    assert {cluster[name] for name in names} == {None}
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
    accounts = {
        "account": ["a", "b"], "allocated_cpus": [30.0, 10.0], "used_cpus": [10.0, None],
        "cpu_coverage_ratio": [1.0, 0.0],
    }  # fmt: skip

    added = total_json(ACCOUNTS, seen({"accounts": frame_of(CLUSTERS.tables["accounts"], accounts)}))

    assert (added["used_cpus"], added["coverage"]["cpu"]) == (10.0, pytest.approx(0.75))
    assert added["used_gpus"] is None


def test_the_total_of_nothing_is_nothing() -> None:
    added = total_json(ACCOUNTS, seen({}))

    assert (added["jobs"], added["waste"], added["gpus"]) == ([], [], [])
    assert (added["allocated_cpus"], added["allocated_memory_bytes"]) == (0, 0)
    assert {added[name] for name in added if name.startswith(("used", "wasted", "power"))} == {None}


async def test_a_cluster_whose_accounting_nobody_has_tried_is_unavailable(service: Service) -> None:
    service.store.publish_cluster(ClusterView(cluster="narval", time=NOW))

    assert await service.failure(JOBS) == (503, "unavailable", 'slurmacct of "narval": not fetched yet')
