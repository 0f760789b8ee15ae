import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.selection import JobFilter, select_jobs
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


Keys = st.sets(st.tuples(st.integers(1, 30), st.integers(2**63, 2**63 + 3)), max_size=40)


def jobs_of(keys: Iterable[tuple[int, int]]) -> pl.DataFrame:
    """Give the keys of jobs as the frame has them, newest first; those with an odd run id are alice's."""
    rows = [(*key, "alice" if key[1] % 2 else "bob") for key in sorted(keys, reverse=True)]
    return pl.DataFrame(rows, schema={"job_id": pl.Int64, "run_id": pl.UInt64, "user": pl.String}, orient="row")


@given(first=Keys, arriving=st.lists(Keys, max_size=6), limit=st.integers(1, 7))
def test_pages_are_complete_and_without_duplicates_while_jobs_arrive(
    first: set[tuple[int, int]], arriving: list[set[tuple[int, int]]], limit: int
) -> None:
    known, seen, after = set(first), list[Any](), None
    arrivals = iter(arriving)
    while True:
        page, after = select_jobs(jobs_of(known), after, limit)
        seen += page.select("job_id", "run_id").rows()
        if after is None:
            break
        known |= next(arrivals, set())

    assert seen == sorted(set(seen), reverse=True)
    assert first <= set(seen)


@given(keys=Keys, limit=st.integers(1, 7), wanted=st.sampled_from(["alice", "bob"]))
def test_filtered_pages_hold_exactly_what_matches(keys: set[tuple[int, int]], limit: int, wanted: str) -> None:
    jobs = jobs_of(keys)
    chosen = JobFilter(users=frozenset({wanted})).choose({"jobs": jobs}, ALL)
    pages, after = [], None
    while True:
        page, after = select_jobs(chosen, after, limit)
        pages.append(page)
        if after is None:
            break
        assert page.height == limit

    assert pl.concat(pages).rows() == jobs.filter(pl.col("user") == wanted).rows()


@pytest.mark.parametrize("key", [(-1, -1), (0, 2**70), (2**70, 0), (2**63, 2**64)])
def test_any_number_may_stand_in_a_cursor(key: tuple[int, int]) -> None:
    jobs = jobs_of([(1, 2**64 - 1), (2, 1)])
    page, _ = select_jobs(jobs, key, 10)

    assert page.rows() == [row for row in jobs.rows() if (row[0], row[1]) < key]


def test_a_page_of_fifty_thousand_jobs_is_found_in_a_moment() -> None:
    """The bound is generous for slow machines; it takes about 10 ms."""
    jobs = jobs_of((number, number) for number in range(1, 50_001)).with_columns(state=pl.lit("running"))
    nobody = JobFilter(users=frozenset({"nobody"}), states=frozenset({"running"}))

    started = time.perf_counter()
    page, _ = select_jobs(nobody.choose({"jobs": jobs}, ALL), (49_000, 0), 1000)

    assert page.is_empty()
    assert time.perf_counter() - started < 0.5


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
    assert (job["name"], job["account"]) == (name, name)


async def test_hostile_text_in_the_path_is_only_ever_json(service: Service) -> None:
    publish_jobs(service.store)
    response = await service.get("/api/v1/clusters/" + quote('<b>"x') + "/jobs")

    assert response.status == 404
    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert 'cluster "<b>"x"' in (await response.json())["error"]
