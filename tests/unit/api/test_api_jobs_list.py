from urllib.parse import quote

import polars as pl
import pytest

from aggregator.model.accounting import JobState

from .builders import FETCH_ERROR, JOBS, NOW, make_job, make_status, publish_jobs
from .conftest import Service

ALL = pl.lit(True)


async def ids(service: Service, query: str = "") -> list[int]:
    return [job["job_id"] for job in (await service.data(f"{JOBS}{query}"))["jobs"]]


async def test_jobs_come_newest_first(service: Service) -> None:
    publish_jobs(service.store, make_job(1), make_job(3), make_job(2))

    assert await ids(service) == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?user=bob", [2]),
        ("?user=alice,bob", [3, 2, 1]),
        ("?user=alice&user=bob", [3, 2, 1]),
        ("?account=def-kim&user=alice", [1]),
        ("?state=PENDING", [3]),
        ("?state=pending,Running&account=rrg-lee", [3, 2]),
        ("?partition=gpu", [3]),
        ("?partition=nowhere", []),
    ],
)
async def test_filters_narrow_the_list(service: Service, query: str, expected: list[int]) -> None:
    publish_jobs(
        service.store,
        make_job(1),
        make_job(2, user="bob", account="rrg-lee"),
        make_job(3, account="rrg-lee", state=JobState.PENDING, start=None, partition="cpu,gpu"),
    )

    assert await ids(service, query) == expected


async def test_pages_follow_each_other_by_cursor(service: Service) -> None:
    publish_jobs(service.store, *(make_job(number) for number in range(1, 6)))

    first = await service.data(f"{JOBS}?limit=2")
    second = await service.data(f"{JOBS}?limit=2&cursor={first['next_cursor']}")
    third = await service.data(f"{JOBS}?limit=2&cursor={second['next_cursor']}")

    assert [[job["job_id"] for job in page["jobs"]] for page in (first, second, third)] == [[5, 4], [3, 2], [1]]
    assert third["next_cursor"] is None


async def test_a_full_last_page_has_no_next_one(service: Service) -> None:
    publish_jobs(service.store, make_job(1), make_job(2))

    assert (await service.data(f"{JOBS}?limit=2"))["next_cursor"] is None


async def test_jobs_of_a_cluster_without_accounting_yet_are_unavailable(service: Service) -> None:
    status = make_status(up=False, last_success=None, error="connection refused by db1:3306")
    publish_jobs(service.store, status=status)

    expected = 503, "unavailable", 'slurmacct of "narval": connection refused by db1:3306'
    assert await service.failure(JOBS) == expected


async def test_jobs_of_a_cluster_with_stale_accounting_are_unavailable(service: Service) -> None:
    publish_jobs(service.store, make_job(), status=make_status(up=False, last_success=NOW - 301, error="gone away"))

    expected = 503, "unavailable", 'slurmacct of "narval": no data since 2023-11-14T22:08:19Z: gone away'
    assert await service.failure(JOBS) == expected


async def test_jobs_of_a_failing_source_are_served_with_a_warning_until_they_are_stale(service: Service) -> None:
    publish_jobs(service.store, make_job(), status=make_status(up=False, last_success=NOW - 299, error="gone away"))

    body = await (await service.get(JOBS)).json()

    assert len(body["data"]["jobs"]) == 1
    assert body["warnings"] == ['slurmacct of "narval": no data since 2023-11-14T22:08:21Z: gone away']


async def test_a_missing_input_is_a_warning(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.store.publish_source(make_status("prometheus", up=False, error="x", failed_inputs={"threads": "timeout"}))

    assert (await (await service.get(JOBS)).json())["warnings"] == ['prometheus of "narval": threads: timeout']


async def test_the_list_never_reads_the_database(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.reader.error = FETCH_ERROR

    assert await ids(service) == [101]


async def test_unknown_cluster_is_not_found_and_the_known_ones_are_named(service: Service) -> None:
    publish_jobs(service.store)

    expected = 404, "not_found", 'cluster "x": not configured; this service has: narval'
    assert await service.failure("/api/v1/clusters/x/jobs") == expected


@pytest.mark.parametrize("name", ['"quoted"', "two\nlines", "<script>alert(1)</script>", "🦙 lama", "a\x00b"])
async def test_hostile_names_survive_as_json(service: Service, name: str) -> None:
    publish_jobs(service.store, make_job(name=name, account=name))

    (job,) = (await service.data(JOBS))["jobs"]
    assert (job["job_name"], job["account"]) == (name, name)


async def test_hostile_text_in_the_path_is_only_ever_json(service: Service) -> None:
    publish_jobs(service.store)
    response = await service.get("/api/v1/clusters/" + quote('<b>"x') + "/jobs")

    assert response.status == 404
    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert 'cluster "<b>"x"' in (await response.json())["error"]
