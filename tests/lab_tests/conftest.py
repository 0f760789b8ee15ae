"""One lab with the service in front, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.lab.service import Service
from tests.lab.site import site_service


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as started:
        yield started


@pytest.fixture(scope="session")
def service(lab: Lab) -> Iterator[Service]:
    with site_service(lab) as started:
        yield started


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that leaves an alert behind fail itself, not the next one that waits for a message."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").wait_quiet()
