"""docs/metrics.md says what the code exports."""

from pathlib import Path

import pytest

from tests.contract.metrics_page import metrics_page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_metrics_page_is_what_the_code_exports(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(metrics_page())
    assert PAGE.read_text() == metrics_page(), "run pytest tests/contract --update-golden"
