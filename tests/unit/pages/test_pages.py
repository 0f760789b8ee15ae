"""Every page: with data and without, for whom it is and for whom not, in every language, and with any name in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState
from aggregator.model.series import Line
from aggregator.pages.language import LANGUAGES
from aggregator.pages.routes import PAGES
from aggregator.sources.base import FetchError
from tests.clouds import rich_cloud
from tests.spaces import Space, rich_space
from tests.unit.api.builders import (
    FETCH_ERROR,
    NOW,
    FakeSeries,
    frames_of,
    make_job,
    make_run,
    make_status,
    publish_jobs,
    publish_space,
)
from tests.unit.api.conftest import Service
from tests.unit.api.tokens import bearer, make_token

HOSTILE = """<script>alert('1')</script>"&%(x)s"""
# A path cannot have braces.
A_NAME = HOSTILE + "&{{ 7*7 }}{% raw %}\n"
ACCOUNT = "def-<b>kim"
NODE = "n1"


class Page(HTMLParser):
    """The elements of a page: no element is left open, and what scripts and handlers there are."""

    EMPTY = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "src", "action") and value]
        if tag == "html":
            self.lang = given["lang"] or ""
        if tag == "script":
            self.scripts.append(given.get("src"))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in ("li",) and self.open[-1] != tag:
            return
        assert self.open.pop() == tag


def paths(user: str = HOSTILE, account: str = ACCOUNT) -> dict[str, str]:
    """Give an address of each page."""
    values = {
        "cluster": "narval", "job_id": "101", "user": user, "account": account, "node": NODE, "filesystem": "project",
        "group": HOSTILE,
    }  # fmt: skip
    return {page.path: _filled(page.path, values) for page in PAGES}


def _filled(path: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), path)


def space(group: str, user: str = "") -> Space:
    return replace(
        rich_space(group, user),
        used_bytes={"disk": 2**45, "tape": 2**46},
        hsm_bytes={"released": 2**44},
        file_size_sum=2**50,
    )


def publish(service: Service) -> None:
    """Publish a site of which every name is an attack."""
    job = make_job(101, user=HOSTILE, account=ACCOUNT, name=A_NAME, partition=HOSTILE, qos=HOSTILE, nodes=(NODE,))
    nodes = [{"node": NODE, "kind": "compute", "state": "allocated", "cpus": 4.0, "memory_bytes": 1e9, "jobs": 1}]
    frames = frames_of(nodes=nodes)
    publish_jobs(
        service.store, job, make_job(102, user="bob", account="def-bob", nodes=("n2",)),
        make_job(103, user=HOSTILE, account=ACCOUNT, name=A_NAME, state=JobState.PENDING, start=None, use={}),
        tree={ACCOUNT: "root", "def-bob": "root"}, members={HOSTILE: {ACCOUNT}, "bob": {"def-bob"}},
        frames={"nodes": frames["nodes"]},
    )  # fmt: skip
    publish_space(service.store, space(HOSTILE), users=[space(HOSTILE, HOSTILE)])
    service.store.publish_cloud(rich_cloud((HOSTILE, "bob")))
    service.store.publish_source(make_status("prometheus", up=False, error=HOSTILE, failed_inputs={"x": HOSTILE}))
    points = tuple((NOW - 3000 + 30 * each, 1.0) for each in range(90))
    labels = {"slurmjobid": "101", "node": NODE, "user": HOSTILE, "account": ACCOUNT}
    service.lines = FakeSeries(lines=(Line(labels, points),))


@pytest.fixture
async def client(idle_service: Service, aiohttp_client: Any) -> TestClient[Any, Any]:
    publish(idle_service)
    made: TestClient[Any, Any] = await aiohttp_client(idle_service.app())
    return made


@pytest.mark.parametrize("path", paths())
@pytest.mark.parametrize("code", LANGUAGES)
async def test_a_page_holds_any_name_and_loads_only_what_is_the_services(
    client: TestClient[Any, Any], path: str, code: str
) -> None:
    response = await client.get(f"{paths()[path]}", headers={"Accept-Language": f"{code};q=0.9, de"})
    text = await response.text()
    assert response.status == 200, text
    page = Page(text)
    assert (page.open, page.handlers) == ([], [])
    assert page.lang == code
    assert response.headers["Content-Language"] == code
    assert all(each and "/static/pages." in each for each in page.scripts)
    assert [each for each in page.links if "//" in each or each.startswith("javascript:")] == []
    assert len(page.ids) == len(set(page.ids))
    assert "<script>alert" not in text
    assert "49" not in re.findall(r"&amp;(\d+)", text), "what is in a name is not a template"
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", paths())
async def test_a_page_of_a_service_that_knows_nothing_is_a_page(
    idle_service: Service, aiohttp_client: Any, path: str
) -> None:
    client = await aiohttp_client(idle_service.app())
    response = await client.get(paths()[path])
    page = Page(await response.text())
    assert response.status in (200, 503), "it is starting, and does not say that there is no such thing"
    assert page.open == []


@pytest.mark.parametrize("path", [path for path in paths() if "{" in path])
async def test_what_is_not_there_is_a_page_that_says_what_to_do(client: TestClient[Any, Any], path: str) -> None:
    values = {"job_id": "999"}
    known = {"cluster": "narval", "filesystem": "project"}
    last = re.findall(r"\{(\w+)\}", path)[-1]
    filled = _filled(
        path, {**dict.fromkeys(re.findall(r"\{(\w+)\}", path), HOSTILE), **known, last: values.get(last, HOSTILE * 2)}
    )
    response = await client.get(filled)
    text = await response.text()
    assert response.status == 404, text
    assert "This is not here" in text
    assert "<script>alert" not in text


@pytest.mark.parametrize("path", paths())
async def test_nobody_without_an_identity_sees_more_than_the_door(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path, path: str
) -> None:
    publish(idle_service)
    file = tmp_path / "tokens.yml"
    make_token(file, "alice000", "read:own", user="alice")
    client = await aiohttp_client(idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file)))
    response = await client.get(paths()[path])
    text = await response.text()
    assert response.status == (200 if path == "/" else 401)
    assert "def-bob" not in text
    assert ("Sign in" if path == "/" else 'name="token"') in text


@pytest.mark.parametrize("path", paths("bob", "def-bob"))
async def test_who_sees_what_is_their_own_sees_nothing_of_others(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path, path: str
) -> None:
    publish(idle_service)
    file = tmp_path / "tokens.yml"
    token = make_token(file, "alice000", "read:own", user="alice")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    client = await aiohttp_client(app, headers=bearer(token))
    response = await client.get(paths("bob", "def-bob")[path])
    text = await response.text()
    closed = {"/ui/status": 403} | dict.fromkeys(
        (each for each in paths() if each.endswith(("{job_id}", "{user}", "{account}", "{group}"))), 404
    )
    assert response.status == closed.get(path, 200), text
    assert "db1" not in text
    if path.endswith(("waste", "cloud")):
        assert "def-bob" not in text


@pytest.mark.parametrize("path", paths())
async def test_a_page_bears_sources_that_are_down(idle_service: Service, aiohttp_client: Any, path: str) -> None:
    publish(idle_service)
    idle_service.reader.error = idle_service.history.error = FETCH_ERROR
    assert idle_service.lines is not None
    idle_service.lines.error = FetchError("prometheus narval: timeout")
    client = await aiohttp_client(idle_service.app())
    response = await client.get(paths()[path])
    text = await response.text()
    assert response.status == 200, text
    if path.endswith("{job_id}"):
        assert "prometheus narval: timeout" in text
        assert "earlier runs may be missing" in text


async def test_a_page_that_rests_on_what_is_too_old_says_which_source_is_down(
    idle_service: Service, aiohttp_client: Any
) -> None:
    publish(idle_service)
    idle_service.store.publish_source(make_status(up=False, last_success=NOW - 4000, error="refused"))
    client = await aiohttp_client(idle_service.app())
    response = await client.get("/ui/clusters/narval/waste")
    text = await response.text()
    assert response.status == 503
    assert "refused" in text
    assert "A source does not answer" in text


async def test_the_choice_of_a_language_is_remembered(client: TestClient[Any, Any]) -> None:
    assert Page(await (await client.get("/?lang=fr")).text()).lang == "fr"
    assert Page(await (await client.get("/ui/clusters/narval/waste")).text()).lang == "fr"
    assert Page(await (await client.get("/?lang=en", headers={"Accept-Language": "fr"})).text()).lang == "en"


async def test_files_may_be_kept_for_ever_for_their_names_say_what_is_in_them(client: TestClient[Any, Any]) -> None:
    (sheet,) = re.findall(r'href="\./(ui/static/pages\.\w+\.css)"', await (await client.get("/")).text())
    response = await client.get(f"/{sheet}")
    assert (response.status, response.content_type) == (200, "text/css")
    assert "immutable" in response.headers["Cache-Control"]
    assert (await client.get("/ui/static/pages.000000000000.css")).status == 404
    assert (await client.get("/ui/static/..%2Frender.py")).status == 404


async def test_links_hold_behind_a_proxy_that_serves_all_under_a_path(client: TestClient[Any, Any]) -> None:
    for address in paths().values():
        page = Page(await (await client.get(address)).text())
        assert [each for each in page.links if each.startswith("/")] == []


async def test_the_sites_that_are_listed_may_show_pages_in_a_frame(idle_service: Service, aiohttp_client: Any) -> None:
    app = idle_service.app(frame_ancestors=("'self'", "https://portal.example.org"))
    client = await aiohttp_client(app)
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert "frame-ancestors 'self' https://portal.example.org" in policy


async def test_a_mistyped_parameter_is_told(client: TestClient[Any, Any]) -> None:
    response = await client.get("/ui/clusters/narval/jobs/101?strat=now-1h")
    assert response.status == 400
    assert "strat" in await response.text()


async def test_a_job_of_500_nodes_is_a_page_of_bearable_size_that_names_idle_nodes(
    idle_service: Service, aiohttp_client: Any
) -> None:
    nodes = tuple(f"n{number}" for number in range(500))
    run = make_run(101, nodes=nodes)
    publish_jobs(idle_service.store, make_job(101, nodes=nodes))
    idle_service.reader.runs = (run,)
    busy = tuple((NOW - 3600 + 30 * each, 1.0) for each in range(120))
    idle = tuple((at, 0.0) for at, _ in busy)
    idle_service.lines = FakeSeries(
        lines=tuple(Line({"slurmjobid": "101", "node": node}, idle if node == "n7" else busy) for node in nodes)
    )
    client = await aiohttp_client(idle_service.app())
    response = await client.get("/ui/clusters/narval/jobs/101")
    body = await response.read()
    assert response.status == 200
    assert len(body) < 150_000
    assert b"mean of 500 nodes" in body
    assert b"n7" in body


async def test_a_look_at_a_page_of_somebody_else_is_one_line_of_the_audit(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(idle_service)
    file = tmp_path / "tokens.yml"
    token = make_token(file, "staff000", "read:all")
    client = await aiohttp_client(idle_service.app(tokens=TokenStore(file)), headers=bearer(token))
    with caplog.at_level("INFO", logger="aggregator.audit"):
        assert (await client.get("/ui/clusters/narval/jobs/102")).status == 200
    assert [each.getMessage().partition(":")[0] for each in caplog.records] == ["read"]
    assert "'bob'" in caplog.text


async def test_a_script_is_for_its_owner_and_the_staff_and_others_are_told_so(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    publish(idle_service)
    file = tmp_path / "tokens.yml"
    token = make_token(file, "account0", "read:account:def-bob")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    client = await aiohttp_client(app, headers=bearer(token))
    text = await (await client.get("/ui/clusters/narval/jobs/102")).text()
    assert "Only its owner and the staff may see it." in text
