import base64

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.errors import BadData
from aggregator.api.parameters import DEFAULT_LIMIT, Parameters, write_cursor

from .builders import JOBS, NOW, make_job, publish_jobs
from .conftest import Service


def parameters(query: str) -> Parameters:
    return Parameters(make_mocked_request("GET", f"/?{query}"))


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


async def test_an_unknown_parameter_is_named_with_those_that_are_known(service: Service) -> None:
    publish_jobs(service.store, make_job())

    expected = "usr: unknown parameter; known are end, resolution, start, tres"
    assert await service.failure("/api/v1/clusters/narval/usage?usr=alice") == (400, "bad_data", expected)


@pytest.mark.parametrize("path", ["clusters", "clusters/narval", "clusters/narval/jobs/1", "storage", "status"])
async def test_a_path_without_parameters_says_so(service: Service, path: str) -> None:
    publish_jobs(service.store, make_job())

    expected = 400, "bad_data", "limit: unknown parameter; this path takes none"
    assert await service.failure(f"/api/v1/{path}?limit=5") == expected


def test_lists_may_be_repeated_and_separated_by_commas() -> None:
    assert parameters("user=a,b&user=c&user=a").many("user") == {"a", "b", "c"}
    assert parameters("").many("user") == frozenset()


@pytest.mark.parametrize("query", ["user=", "user=a,", "user=a&user=", "user=,"])
def test_an_empty_value_is_refused(query: str) -> None:
    with pytest.raises(BadData, match=r"^user: must not be empty$"):
        parameters(query).many("user")


async def test_an_unknown_state_is_named_with_those_that_are_known(service: Service) -> None:
    publish_jobs(service.store, make_job())

    status, _, error = await service.failure(f"{JOBS}?state=running,sleeping")

    assert status == 400
    assert error.startswith("state: must be one of boot_fail, cancelled, completed, ")
    assert error.endswith(', got "sleeping"')


@pytest.mark.parametrize("text", ["1", "1000", "0100"])
def test_a_limit_within_bounds_is_taken(text: str) -> None:
    assert parameters(f"limit={text}").limit() == int(text)


def test_the_limit_has_a_default() -> None:
    assert parameters("").limit() == DEFAULT_LIMIT == 100


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "x", "", "99999999999999999999", "%D9%A1", "1_0", "%201"])
def test_a_limit_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadData, match=r"^limit: must be 1–1000, got "):
        parameters(f"limit={text}").limit()


@pytest.mark.parametrize("name", ["limit", "cursor"])
def test_a_single_parameter_may_not_be_repeated(name: str) -> None:
    asked = parameters(f"{name}=5&{name}=5")

    with pytest.raises(BadData, match=f"^{name}: must be given once, got 2 values$"):
        asked.limit() if name == "limit" else asked.cursor(int, 2)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_a_cursor_of_numbers_is_read_as_it_was_written(job_id: int, run_id: int) -> None:
    assert parameters(f"cursor={write_cursor(job_id, run_id)}").cursor(int, 2) == (job_id, run_id)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_of_a_name_is_read_as_it_was_written(name: str) -> None:
    assert parameters(f"cursor={write_cursor(name)}").cursor(str, 1) == (name,)


@pytest.mark.parametrize(
    "cursor",
    ["", "!", "%00", "AAAA", "a", encoded("[1]"), encoded("[1,2,3]"), encoded('["1","2"]'), encoded("[true,1]"),
     encoded("[1.5,2]"), encoded(f"[1,{2**70}]"), encoded('{"a":1}'), encoded("[1,2") , "🦙"],
)  # fmt: skip
async def test_a_tampered_cursor_is_refused(service: Service, cursor: str) -> None:
    publish_jobs(service.store, make_job())

    expected = 400, "bad_data", "cursor: must be the next_cursor of an earlier answer of the same path and order"
    assert await service.failure(f"{JOBS}?cursor={cursor}") == expected


@given(st.text(max_size=40))
def test_no_cursor_does_more_than_be_refused(text: str) -> None:
    request = make_mocked_request("GET", "/")
    asked = Parameters(request.clone(rel_url=request.rel_url.with_query({"cursor": text})))

    try:
        key = asked.cursor(int, 2)
    except BadData:
        return
    assert key is not None
    assert len(key) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", NOW),
        ("1700000000.25", NOW + 0.25),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T17:13:20-05:00", NOW),
        ("2023-11-14T22:13:20.250Z", NOW + 0.25),
    ],
)
def test_a_time_is_epoch_seconds_or_rfc_3339(text: str, seconds: float) -> None:
    assert asked_for(text).time("at") == seconds


@given(st.one_of(st.text(max_size=40), st.floats().map(str), st.datetimes().map(str)))
def test_no_time_does_more_than_be_refused(text: str) -> None:
    try:
        seconds = asked_for(text).time("at")
    except BadData as error:
        assert str(error).startswith("at: must be a time such as 1700000000, 2023-11-14T22:13:20Z or now-7d, got ")
        return
    assert seconds is not None
    assert 0 <= seconds <= 2**40


def asked_for(text: str) -> Parameters:
    request = make_mocked_request("GET", "/")
    return Parameters(request.clone(rel_url=request.rel_url.with_query({"at": text})))
