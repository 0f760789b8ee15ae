"""docs/reliability.md names tests that exist, for each of its promises."""

from tests.contract.named_tests import ROOT, existing, named

PAGE = (ROOT / "docs" / "reliability.md").read_text()


def rows() -> list[list[str]]:
    """Give the cells of the rows of all tables, without their heads."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what happens")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_promise_has_tests_that_exist() -> None:
    found = {what: named(tests) for what, _, tests in rows()}
    assert found
    known = existing()
    assert {what: names - known for what, names in found.items() if not names or names - known} == {}
