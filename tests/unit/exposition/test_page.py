import asyncio
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from scrape import OPENMETRICS, make_app, make_page, samples_of

from aggregator.app.layouts import FAMILIES
from aggregator.exposition import OwnFamilies, Page
from tests.builders import HOSTILE_NAMES, rich_cluster
from tests.clouds import rich_cloud
from tests.reference import expected_registry
from tests.spaces import rich_filesystem

VIEWS = (
    rich_cluster(HOSTILE_NAMES), rich_cluster(cluster="rorqual"), rich_filesystem(HOSTILE_NAMES),
    rich_filesystem(filesystem="nearline"), rich_cloud(HOSTILE_NAMES), rich_cloud(cloud="beluga"),
)  # fmt: skip
MOONS = OwnFamilies(object, lambda _: [GaugeMetricFamily("hpc_aggregator_moons", "Moons.", 1)])


@pytest.fixture(scope="module")
def page() -> Page:
    return make_page(VIEWS)


async def test_the_text_answer_is_what_prometheus_client_prints(scrape: Any, page: Page) -> None:
    body, headers = await scrape(page)
    expected = generate_latest(expected_registry(VIEWS)).decode()
    assert samples_of(parse_text(body)) == samples_of(parse_text(expected))
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert headers["Vary"] == "Accept, Accept-Encoding"


async def test_the_openmetrics_answer_is_what_prometheus_client_prints(scrape: Any, page: Page) -> None:
    body, headers = await scrape(page, Accept=OPENMETRICS)
    expected = generate_openmetrics(expected_registry(VIEWS)).decode()
    assert samples_of(parse_openmetrics(body)) == samples_of(parse_openmetrics(expected))
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?collect[]=jobs", "/metrics?collect[]=service", "/metrics?collect[]=none"]
)
async def test_an_openmetrics_answer_ends_with_eof_once(scrape: Any, page: Page, path: str) -> None:
    for encoding in ("identity", "gzip"):
        body, _ = await scrape(page, path, Accept=OPENMETRICS, Accept_Encoding=encoding)
        assert body.endswith("# EOF\n")
        assert body.count("# EOF") == 1
        list(parse_openmetrics(body))


async def test_a_text_answer_has_no_eof(scrape: Any, page: Page) -> None:
    assert "# EOF" not in (await scrape(page))[0]


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.1", True),
        ("application/openmetrics-text; version=0.0.1", True),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text, text/plain;version=1.0.0", False),
        ("*/*", False),
        ("", False),
    ],
)  # fmt: skip
async def test_openmetrics_is_given_to_who_asks_for_a_known_version(
    scrape: Any, page: Page, accept: str, is_openmetrics: bool
) -> None:
    body, headers = await scrape(page, Accept=accept)
    assert ("openmetrics" in headers["Content-Type"]) is is_openmetrics
    assert body.endswith("# EOF\n") is is_openmetrics


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
@pytest.mark.parametrize("path", ["/metrics", "/metrics?collect[]=storage", "/metrics?collect[]=none"])
async def test_the_gzip_answer_is_the_identity_answer(scrape: Any, page: Page, accept: str, path: str) -> None:
    identity, plain = await scrape(page, path, Accept=accept)
    packed, headers = await scrape(page, path, Accept=accept, Accept_Encoding="gzip, deflate")
    assert packed == identity
    assert headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain


@pytest.mark.parametrize(
    ("encoding", "is_gzip"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=1.0", True), ("gzip;q=0", False), ("gzip; q=0.0", False),
     ("gzip;q=0,deflate", False), ("identity", False), ("br", False)],
)  # fmt: skip
async def test_gzip_is_given_to_who_accepts_it(scrape: Any, page: Page, encoding: str, is_gzip: bool) -> None:
    _, headers = await scrape(page, Accept_Encoding=encoding)
    assert (headers.get("Content-Encoding") == "gzip") is is_gzip


@pytest.mark.parametrize("groups", [["jobs"], ["users", "accounts"], ["storage"], ["jobs", "service"], ["service"]])
async def test_an_answer_is_limited_to_the_groups_that_are_named(scrape: Any, groups: list[str]) -> None:
    page = make_page(VIEWS, MOONS)
    body, _ = await scrape(page, "/metrics?" + "&".join(f"collect[]={group}" for group in groups))
    wanted = {family.openmetrics_name for family in FAMILIES if family.collect in groups}
    wanted |= {"hpc_aggregator_moons"} if "service" in groups else set()
    assert {family.name for family in parse_text(body)} == wanted


async def test_the_service_is_on_the_whole_page(scrape: Any) -> None:
    body, _ = await scrape(make_page(VIEWS, MOONS))
    assert "hpc_aggregator_moons 1.0" in body


async def test_a_page_of_nothing_is_an_empty_answer(scrape: Any) -> None:
    assert (await scrape(Page((), FAMILIES)))[0] == ""
    assert (await scrape(Page((), FAMILIES), Accept_Encoding="gzip"))[0] == ""


async def test_a_published_scope_replaces_its_last_one(scrape: Any) -> None:
    page = make_page([rich_cluster(("alice",))])
    page.publish(("cluster", "narval"), {})
    assert (await scrape(page))[0] == ""
    assert page.series() == {}


async def test_clusters_that_are_not_configured_any_more_are_gone(scrape: Any, page: Page) -> None:
    page.keep_only({"rorqual"}, {"project"}, {"beluga"})
    body, _ = await scrape(page)
    assert 'cluster="rorqual"' in body
    assert 'cluster="narval"' not in body
    assert 'filesystem="nearline"' not in body
    assert 'cloud="beluga"' in body
    assert 'cloud="arbutus"' not in body


async def test_the_page_counts_the_series_that_it_prints(scrape: Any, page: Page) -> None:
    body, _ = await scrape(page)
    printed = {family.name: len(family.samples) for family in parse_text(body)}
    # The parser leaves out a counter's suffix.
    assert {name.removesuffix("_total"): count for name, count in page.series().items()} == printed


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_head_request_is_answered_without_a_body(aiohttp_server: Any, page: Page, encoding: str) -> None:
    """A body after HEAD is read as the next answer of the connection: a proxy's health check breaks the next scrape."""
    server = await aiohttp_server(make_app(page))
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"HEAD /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 200 ")
    assert len(body) == 0
