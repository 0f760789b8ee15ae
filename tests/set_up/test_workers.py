"""What runs in which worker."""

from pathlib import Path

from tests import workers
from tests.workers import group, turn

TESTS = Path(__file__).resolve().parents[1]


def test_a_files_tests_are_together_and_those_of_two_files_need_not_be() -> None:
    file = "tests/rules/test_rules.py"
    assert (
        group(f"{file}::test_a") == group(f"{file}::test_b[x/y::z]") != group("tests/rules/test_recording.py::test_a")
    )


def test_files_that_share_a_costly_server_are_together() -> None:
    lab = group("tests/lab_tests/test_join.py::test_a")
    assert lab == group("tests/lab_tests/test_nodes.py::test_a") != group("tests/lab_tests/test_whole_story.py::test_a")
    assert group("tests/deploy/test_image.py::test_a") == group("tests/deploy/test_pod.py::test_a")


def test_the_longest_begin_first() -> None:
    tests = [f"tests/{file}::test_a" for file in ("deploy/test_pod.py", "unit/test_logs.py", "lab_tests/test_join.py")]
    assert sorted(tests, key=turn) == [tests[2], tests[0], tests[1]]


def test_what_is_named_exists() -> None:
    names = {path.name for path in TESTS.rglob("*")}
    assert workers.TOGETHER.keys() | workers.ALONE <= names
