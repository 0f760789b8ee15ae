"""The image, built once for all tests of this folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import BUILD_SECONDS, TEST_SECONDS, Image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of the image the time of its build: whichever comes first has to wait for it."""
    for item in items:
        if "image" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS + TEST_SECONDS))


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    # Not in pytest's folders, which it keeps: this is a gigabyte.
    with tempfile.TemporaryDirectory(prefix="hpc-image-") as folder:
        yield Image(Path(folder))
