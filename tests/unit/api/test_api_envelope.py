import asyncio
import logging
from typing import Any

import pytest
from aiohttp import ClientPayloadError, web

from aggregator.model.moment import rfc3339

from .builders import FETCH_ERROR, JOBS, NOW, make_job, publish_jobs
from .conftest import Service

BOOM = RuntimeError("secret of the inside")


async def test_a_snapshot_answer_has_an_etag_and_must_be_revalidated(service: Service) -> None:
    publish_jobs(service.store, make_job())

    response = await service.get(JOBS)

    assert response.headers["ETag"].startswith('W/"')
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Accept-Encoding"


async def test_an_unchanged_answer_is_not_sent_again(service: Service) -> None:
    publish_jobs(service.store, make_job())
    etag = (await service.get(JOBS)).headers["ETag"]
    service.now += 1

    again = await service.get(JOBS, headers={"If-None-Match": f'"other", {etag}'})

    assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag)


async def test_a_changed_answer_is_sent(service: Service) -> None:
    publish_jobs(service.store, make_job())
    etag = (await service.get(JOBS)).headers["ETag"]
    publish_jobs(service.store, make_job(), make_job(102))

    assert (await service.get(JOBS, headers={"If-None-Match": etag})).status == 200


async def test_a_large_answer_is_compressed_for_those_who_read_that(service: Service) -> None:
    publish_jobs(service.store, *(make_job(number) for number in range(1, 101)))

    zipped = await service.get(JOBS, headers={"Accept-Encoding": "gzip"})
    plain = await service.get(JOBS, headers={"Accept-Encoding": "identity"})

    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert await zipped.json() == await plain.json()
    assert zipped.headers["ETag"] == plain.headers["ETag"]


async def test_a_small_answer_is_not_compressed(service: Service) -> None:
    publish_jobs(service.store)

    response = await service.get(JOBS, headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in response.headers


async def test_there_are_no_warnings_where_there_is_nothing_to_warn_of(service: Service) -> None:
    publish_jobs(service.store)

    body = await (await service.get(JOBS)).json()
    assert body == {"status": "success", "data": {"jobs": [], "next_cursor": None, "total": 0}}


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v2", "/api/v1/clusters/", "/favicon.ico"])
async def test_an_unknown_path_is_not_found_in_the_envelope(service: Service, path: str) -> None:
    assert await service.failure(path) == (404, "not_found", "no such path; /docs lists them")


async def test_a_wrong_method_is_refused_naming_the_right_ones(service: Service) -> None:
    assert service.client is not None
    response = await service.client.delete(JOBS)

    assert response.status == 405
    assert response.headers["Allow"] == "GET,HEAD"
    assert await response.json() == {
        "status": "error",
        "errorType": "method_not_allowed",
        "error": "method DELETE is not allowed here, only GET, HEAD",
    }


async def test_errors_are_not_stored(service: Service) -> None:
    assert (await service.get("/api/v1/nothing")).headers["Cache-Control"] == "no-store"


async def test_an_unexpected_exception_is_logged_and_tells_nothing(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    publish_jobs(service.store)
    service.reader.error = BOOM

    with caplog.at_level(logging.ERROR, logger="aggregator.api.errors"):
        failure = await service.failure(f"{JOBS}/5")

    assert failure == (500, "internal", "internal error; the service's log says more")
    (record,) = caplog.records
    assert record.getMessage() == f"request failed: method=GET path='{JOBS}/5'"
    assert record.exc_info is not None
    assert record.exc_info[1] is BOOM


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (BOOM, 500, "internal error; the service's log says more\n"),
        (FETCH_ERROR, 503, f"{FETCH_ERROR}\n"),
        (TimeoutError(), 504, "the answer took too long\n"),
    ],
)
async def test_errors_of_the_metrics_page_are_plain_text(
    service: Service, error: Exception, status: int, text: str
) -> None:
    service.page.error = error

    response = await service.get("/metrics")

    assert (response.status, response.content_type, await response.text()) == (status, "text/plain", text)


async def test_an_answer_that_breaks_half_way_is_not_followed_by_another(
    idle_service: Service, aiohttp_client: Any
) -> None:
    class BreakingPage:
        groups = frozenset[str]()

        async def respond(self, request: web.Request, groups: frozenset[str] | None) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "100000"})
            await response.prepare(request)
            await response.write(b"x" * 50_000)
            await asyncio.sleep(0)
            raise BOOM

    idle_service.page = BreakingPage()  # type: ignore[assignment]
    client = await aiohttp_client(idle_service.app())

    response = await client.get("/metrics")
    with pytest.raises(ClientPayloadError):
        await response.read()


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/metrics", "/api/v1/status", "/api/v1/nothing", "/-/nothing"])
async def test_every_answer_has_the_security_headers(service: Service, path: str) -> None:
    headers = (await service.get(path)).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    # With less, a browser would not say of a page's own form where it comes from.
    assert headers["Referrer-Policy"] == ("same-origin" if path == "/" else "no-referrer")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "hpc-aggregator"


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (NOW, "2023-11-14T22:13:20Z"),
        (NOW + 0.25, "2023-11-14T22:13:20.250Z"),
        (0.0, "1970-01-01T00:00:00Z"),
        (None, None),
        (1e30, None),
        (float("nan"), None),
    ],
)
def test_times_are_rfc_3339_in_utc(epoch: float | None, text: str | None) -> None:
    assert rfc3339(epoch) == text
