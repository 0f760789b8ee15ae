"""Identities on the page of the demo, scrape after scrape: a stranger's first page adds up."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.identities import Page, problems, steps_back
from tests.lab.process import wait_until
from tests.lab.service import Service
from tests.scenarios.demo import Demo

# It has hours of energy to add up at first.
pytestmark = pytest.mark.timeout(900)
SCRAPES = 4


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        running.start()
        yield running.service
    finally:
        running.service.stop()


@pytest.fixture(scope="module")
def pages(demo: Service) -> list[Page]:
    """Give pages of different refreshes."""
    found: list[Page] = []

    def is_new() -> bool:
        page = Page.asked(demo)
        if not found or _time(page) > _time(found[-1]):
            found.append(page)
        return len(found) == SCRAPES

    wait_until(is_new, 90, "some refreshes")
    return found


def _time(page: Page) -> float:
    return max(value for _, value in page.samples("hpc_aggregator_snapshot_timestamp_seconds"))


def test_everything_adds_up_at_every_scrape(pages: list[Page]) -> None:
    assert {number: found for number, page in enumerate(pages) if (found := problems(page))} == {}


def test_no_counter_goes_back(pages: list[Page]) -> None:
    assert [steps_back(before, after) for before, after in pairwise(pages)] == [[]] * (SCRAPES - 1)


def test_the_page_has_something_of_everything(pages: list[Page]) -> None:
    """Identities of nothing hold."""
    for name in (
        "hpc_job_used_cpus", "hpc_job_wasted_gpus", "hpc_job_power_watts", "hpc_user_power_watts", "hpc_job_waste",
        "hpc_user_energy_joules_total", "hpc_node_energy_joules_total", "hpc_node_power_watts", "hpc_storage_hsm_bytes",
        "hpc_storage_user_used_bytes", "hpc_storage_quota_used_ratio", "hpc_storage_file_size_bytes_count",
        "hpc_storage_user_quota_used_ratio", "hpc_account_usage_seconds", "hpc_job_lustre_read_bytes_per_second",
        "hpc_project_used_cpus", "hpc_node_allocated_cpus",
    ):  # fmt: skip
        assert pages[-1].samples(name), name


def test_nobody_uses_more_than_the_limits_let(pages: list[Page]) -> None:
    over = []
    for whose in ("user", "account"):
        by = ("cluster", "account", "user", "limit", "tres")
        limits = pages[-1].sums(f"hpc_{whose}_limit", by)
        used = pages[-1].sums(f"hpc_{whose}_limit_used", by)
        over += [f"{key}: {used[key]} of {limits[key]}" for key in used if used[key] > limits[key]]
    assert over == []


@pytest.mark.parametrize(
    "name",
    [
        "hpc_job_allocated_cpus", "hpc_job_used_cpus", "hpc_job_power_watts", "hpc_job_waste", "hpc_user_used_gpus",
        "hpc_user_wasted_cpus", "hpc_account_allocated_gpus", "hpc_account_jobs", "hpc_account_waste_jobs",
        "hpc_account_power_watts", "hpc_user_energy_joules_total", "hpc_account_cost_total",
        "hpc_node_energy_joules_total", "hpc_cluster_power_watts", "hpc_node_allocated_memory_bytes",
        "hpc_storage_used_bytes", "hpc_storage_user_used_inodes", "hpc_storage_quota_bytes", "hpc_storage_hsm_bytes",
        "hpc_storage_file_size_bytes_count", "hpc_storage_user_quota_used_ratio", "hpc_job_coverage_ratio",
        "hpc_user_lustre_read_bytes_per_second", "hpc_project_vcpus", "hpc_instance_used_cpus",
    ],
)  # fmt: skip
def test_a_wrong_value_is_noticed(pages: list[Page], name: str) -> None:
    """One of the first values at least is known on another side, too."""
    known = set(problems(pages[-1]))

    def notices(index: int) -> bool:
        labels, value = pages[-1].of[name][index]
        samples = [*pages[-1].of[name]]
        samples[index] = (labels, value * 1.5 + 1)
        broken = Page({**pages[-1].of, name: samples}, pages[-1].counters)
        return bool(set(problems(broken)) - known)

    assert any(notices(index) for index in range(min(12, len(pages[-1].of[name]))))
