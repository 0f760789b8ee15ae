"""The pages that are generated are what they are generated from says."""

from collections.abc import Callable

import pytest

from tests.contract.agent_page import agent_page
from tests.contract.api_page import api_page
from tests.contract.commands_page import commands_page
from tests.contract.graphs_page import graphs_page
from tests.contract.metrics_page import metrics_page
from tests.contract.named_tests import ROOT
from tests.contract.portal_page import portal_page
from tests.contract.rules_page import rules_page
from tests.contract.series_page import series_page

PAGES = {
    "api-reference": api_page, "commands": commands_page, "graphs": graphs_page, "jobscripts-reference": agent_page,
    "metrics": metrics_page, "portal": portal_page, "rules-reference": rules_page, "series": series_page,
}  # fmt: skip


@pytest.mark.parametrize(("name", "write"), PAGES.items(), ids=PAGES)
def test_a_page_is_what_it_is_generated_from(name: str, write: Callable[[], str], update_golden: bool) -> None:
    page = ROOT / "docs" / f"{name}.md"
    if update_golden:
        page.write_text(write())
    assert page.read_text() == write(), "run pytest tests/contract --update-golden"
