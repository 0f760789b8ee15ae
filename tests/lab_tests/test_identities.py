"""Identities on the page of the real stack, scrape after scrape."""

from itertools import pairwise

import pytest

from tests.identities import Page, problems, steps_back
from tests.lab import wait_until
from tests.lab.service import Service

pytestmark = pytest.mark.lab

SCRAPES = 5


@pytest.fixture(scope="module")
def pages(service: Service) -> list[Page]:
    """Give pages of different windows of the ledger."""
    wait_until(lambda: bool(service.samples("hpc_cluster_power_watts")), 60, "power")
    found = [Page.asked(service)]

    def is_new() -> bool:
        page = Page.asked(service)
        if _time(page) > _time(found[-1]):
            found.append(page)
        return len(found) == SCRAPES

    wait_until(is_new, 60, "some windows")
    return found


def _time(page: Page) -> float:
    return page.value("hpc_aggregator_ledger_window_timestamp_seconds") or 0.0


def test_everything_adds_up_at_every_scrape(pages: list[Page]) -> None:
    assert {number: found for number, page in enumerate(pages) if (found := problems(page))} == {}


def test_no_counter_goes_back(pages: list[Page]) -> None:
    assert [steps_back(before, after) for before, after in pairwise(pages)] == [[]] * (SCRAPES - 1)
