"""docs/api-reference.md has the paths of the service, all of them and no others; docs/jobs.md the states."""

import re
from pathlib import Path

from aggregator.model.accounting import JobState

from .conftest import Service

DOCS = Path(__file__).parents[3] / "docs"
MOST_WORDS = 1500


def test_the_documented_paths_are_those_of_the_router(idle_service: Service) -> None:
    page = (DOCS / "api-reference.md").read_text()
    documented = set(re.findall(r"^### `(\w+ \S+)`$", page, re.MULTILINE))

    routes = idle_service.app().router.routes()
    served = {f"{route.method} {route.resource.canonical}" for route in routes if route.resource is not None}
    pages = {path for path in served if path.endswith(" /") or " /ui/" in path}
    assert documented == {path for path in served - pages if not path.startswith("HEAD ")}


def test_the_documented_states_are_those_of_the_model() -> None:
    text = (DOCS / "jobs.md").read_text()

    assert all(f"`{state.name.lower()}`" in text for state in JobState)


def test_what_all_paths_have_alike_is_read_in_ten_minutes() -> None:
    assert len((DOCS / "api.md").read_text().split()) <= MOST_WORDS
