"""The build of the image has a time limit of its own: on a busy machine it took the limit of the first test with it."""

from types import SimpleNamespace
from typing import Any

from tests.deploy.conftest import pytest_collection_modifyitems
from tests.deploy.image import BUILD_SECONDS


def _limits(*fixtures: str) -> list[float]:
    marks: list[Any] = []
    item: Any = SimpleNamespace(fixturenames=fixtures, add_marker=marks.append)
    pytest_collection_modifyitems([item])
    return [mark.args[0] for mark in marks]


def test_whoever_needs_the_image_waits_for_its_build() -> None:
    (limit,) = _limits("request", "image")
    assert limit > BUILD_SECONDS


def test_the_others_have_the_limit_of_all_tests() -> None:
    assert _limits("request", "tmp_path") == []


def test_the_tests_of_the_image_are_known_by_that_fixture(pytestconfig: Any) -> None:
    files = [pytestconfig.rootpath / "tests" / "deploy" / name for name in ("test_image.py", "test_pod.py")]
    assert all("image: Image" in file.read_text() for file in files)
