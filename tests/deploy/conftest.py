"""The image, built once for all tests of this folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import Image


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    # Not in pytest's folders, which it keeps: this is a gigabyte.
    with tempfile.TemporaryDirectory(prefix="hpc-image-") as folder:
        yield Image(Path(folder))
