"""docs/api.md lists the paths of the service, all of them and no others."""

import re
from pathlib import Path

from aggregator.model.accounting import JobState

from .conftest import Service

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_documented_paths_are_those_of_the_router(idle_service: Service) -> None:
    documented = set(re.findall(r"^### `(\w+ \S+)`$", DOCS.read_text(encoding="utf-8"), re.MULTILINE))

    routes = idle_service.app().router.routes()
    served = {f"{route.method} {route.resource.canonical}" for route in routes if route.resource is not None}
    assert documented == {path for path in served if not path.startswith("HEAD ")}


def test_the_documented_states_are_those_of_the_model() -> None:
    text = DOCS.read_text(encoding="utf-8")

    assert all(f"`{state.name.lower()}`" in text for state in JobState)
