"""The pages of a whole site in a real browser, and their numbers beside the API's and those of /metrics."""

import gzip
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from aggregator.pages.language import language
from aggregator.pages.numbers import Numbers, plain
from aggregator.pages.routes import PAGES
from tests.builders import NOW
from tests.scenarios.browser import Look, chromium, opened
from tests.scenarios.demo import CLUSTER, Demo

NUMBERS = Numbers(language("en"))
UI = "/ui/clusters/demo"
_MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    # By a clock that stands still, what is asked for one after the other is of one snapshot.
    running = Demo(tmp_path_factory.mktemp("demo"), at=NOW)
    try:
        running.start()
        running.wait_caught_up(NOW)
        yield running
    finally:
        running.service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def base(demo: Demo) -> str:
    return str(demo.service.url)


@pytest.fixture(scope="module")
def addresses(demo: Demo) -> dict[str, str]:
    """Give an address of each page, of things of which much is known."""
    run = wasteful(demo)[0]
    group = demo.data("/api/v1/storage/project/groups")["groups"][0]["group"]
    values = {
        "cluster": "demo", "job_id": run["id"], "user": run["user"], "account": run["account"],
        "node": run["nodes"][0], "filesystem": "project", "group": group,
    }  # fmt: skip
    return {
        page.path: re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), page.path) for page in PAGES
    }


def wasteful(demo: Demo) -> list[dict[str, Any]]:
    """Give a run of each finding, those with GPUs first."""
    rows = demo.data(f"{CLUSTER}/jobs?state=running&severity=critical&sort=-wasted_gpus&limit=1000")["jobs"]
    return list({row["waste"][0]["reason"]: row for row in reversed(rows)}.values())[::-1]


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_page_is_clean_in_every_look(
    browser: Browser, base: str, addresses: dict[str, str], path: str, look: Look
) -> None:
    with opened(browser, base, addresses[path], look, locale="fr-CA" if look == "dark" else "en-US") as seen:
        assert seen.status == 200
        assert (seen.complaints, seen.outside) == ([], [])
        assert seen.axe() == []
        assert seen.overflow() == 0
        assert seen.page.locator("main .unknown").count() < seen.page.locator("main td, main b").count() + 3


@pytest.mark.parametrize("path", [f"{UI}/jobs/1", "/ui/clusters/nowhere/waste", f"{UI}/jobs/x", "/ui/nothing"])
def test_an_error_is_a_clean_page_too(browser: Browser, base: str, path: str) -> None:
    with opened(browser, base, path) as seen:
        assert seen.status in (400, 404)
        assert (seen.complaints, seen.outside, seen.axe()) == ([], [], [])


def test_a_page_is_read_and_printed_without_script(browser: Browser, base: str, addresses: dict[str, str]) -> None:
    address = addresses["/ui/clusters/{cluster}/jobs/{job_id}"]
    with opened(browser, base, address, java_script_enabled=False) as seen:
        assert seen.page.locator("svg.chart").count() >= 4
        assert seen.page.get_by_text("UTC").count() > 0
        assert len(seen.page.pdf()) > 10_000


def test_a_range_is_chosen_with_the_pointer_and_with_keys(
    browser: Browser, base: str, addresses: dict[str, str]
) -> None:
    address = addresses["/ui/clusters/{cluster}/jobs/{job_id}"]
    with opened(browser, base, address) as seen:
        chart = seen.page.locator("svg.chart[data-from]").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        y = box["y"] + 40
        seen.page.mouse.move(box["x"] + box["width"] * 0.7, y)
        assert seen.page.locator("svg .cursor").count() == seen.page.locator("svg.chart[data-from]").count()
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + box["width"] * 0.9, y)
        with seen.page.expect_navigation():
            seen.page.mouse.up()
        assert "start=" in seen.page.url
    with opened(browser, base, address) as seen:
        seen.page.locator("svg.chart[data-from]").first.focus()
        seen.page.keyboard.press("ArrowRight")
        for _ in range(20):
            seen.page.keyboard.press("Shift+ArrowRight")
        with seen.page.expect_navigation():
            seen.page.keyboard.press("Enter")
        assert "start=" in seen.page.url
        assert seen.complaints == []


def test_a_page_that_is_open_shows_new_numbers_until_it_is_paused(
    browser: Browser, base: str, addresses: dict[str, str]
) -> None:
    with opened(browser, base, addresses["/ui/clusters/{cluster}/jobs/{job_id}"]) as seen:
        button = seen.page.get_by_role("button", name="Live")
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        assert seen.page.get_by_role("button", name="Paused").get_attribute("aria-pressed") == "false"


def test_names_that_are_attacks_execute_nothing(browser: Browser, base: str, demo: Demo) -> None:
    names = re.compile(r"[<>\"'&\\]")
    hostile = [run for run in demo.runs() if names.search(run["job_name"])]
    assert len({run["job_name"] for run in hostile}) >= 2, "the demo has such names"
    for run in list({run["job_name"]: run for run in hostile}.values()):
        with opened(browser, base, f"{UI}/jobs/{quote(run['id'].partition('_[')[0])}") as seen:
            assert seen.complaints == []
            shown = seen.page.locator("h1 small").text_content()
            assert shown is not None
            assert " ".join(shown.split()) == " ".join(run["job_name"].split())


def text_of(demo: Demo, path: str) -> str:
    status, body = demo.service.get(path)
    assert status == 200
    return unescape(re.sub(r"<[^>]+>", "", body.decode()))


def test_pages_the_api_and_metrics_say_the_same_numbers(demo: Demo) -> None:
    families = demo.service.families()
    for listed in wasteful(demo):
        page, run = text_of(demo, f"{UI}/jobs/{listed['id']}"), demo.data(f"{CLUSTER}/jobs/{listed['id']}")["runs"][-1]
        said = {
            "hpc_job_wasted_cpu_seconds": (run["wasted_cpu_seconds"], NUMBERS.cpu_hours),
            "hpc_job_wasted_gpu_seconds": (run["wasted_gpu_seconds"], NUMBERS.gpu_hours),
            "hpc_job_cpu_efficiency_ratio": (run["cpu_efficiency_ratio"], NUMBERS.percent),
            "hpc_job_memory_efficiency_ratio": (run["memory_efficiency_ratio"], NUMBERS.percent),
            "hpc_job_memory_peak_bytes": (run["memory_peak_bytes"], NUMBERS.size),
            "hpc_job_energy_joules_total": (run["energy_joules_total"], NUMBERS.energy),
        }  # fmt: skip
        for family, (value, write) in said.items():
            shown = families[family.removesuffix("_total")].samples
            samples = [each.value for each in shown if each.labels["slurmjobid"] == str(run["job_id"])]
            assert samples == ([] if value is None else [pytest.approx(value)]), family
            if value is not None and value >= 60:
                assert plain(write(value)) in page, (family, run["id"])


def test_a_job_on_a_node_whose_exporter_is_down_is_not_called_good(demo: Demo) -> None:
    (there,) = (run["id"] for run in demo.runs() if run["state"] == "running" and "nc0002" in run["nodes"])
    assert "Not judged, because the exporter of nc0002 is down." in text_of(demo, f"{UI}/jobs/{there}")
    assert "l’exportateur de nc0002 est en panne" in text_of(demo, f"{UI}/jobs/{there}?lang=fr")


def test_a_gpu_s_memory_is_shown_against_its_size_and_its_sms_beside_what_it_does(demo: Demo) -> None:
    page = text_of(demo, f"{UI}/jobs/{wasteful(demo)[0]['id']}")
    assert "used on each GPU; dashed: its size" in page
    assert "occupancy of its SMs" in page


def test_sums_of_a_cluster_are_the_same_on_the_page_and_in_the_api(demo: Demo) -> None:
    cluster, page = demo.data(CLUSTER), text_of(demo, f"{UI}/waste")
    assert f"{NUMBERS.number(cluster['wasted_gpus'])} of {NUMBERS.count(cluster['allocated_gpus'])}" in page
    assert f"{NUMBERS.number(cluster['wasted_cpus'])} of {NUMBERS.count(cluster['allocated_cpus'])}" in page


def test_a_job_page_and_its_files_are_small(demo: Demo, addresses: dict[str, str]) -> None:
    _, page = demo.service.get(addresses["/ui/clusters/{cluster}/jobs/{job_id}"])
    names = re.findall(r'"[./]*(ui/static/pages\.[^"]+)"', page.decode())
    files = [demo.service.get(f"/{name}")[1] for name in names]
    assert len(files) == 2
    assert sum(len(gzip.compress(each)) for each in (page, *files)) < _MOST_BYTES
