"""docs/threat-model.md names tests that exist, for each attack."""

from tests.contract.named_tests import ROOT, existing, named

PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def test_each_attack_has_tests_that_exist() -> None:
    _, _, rest = PAGE.partition("\n| attack | ")
    rows = [line.strip("|").split(" | ") for line in rest.partition("\n\n")[0].splitlines()[2:]]
    found = {attack: named(tests) for attack, _, tests in rows}
    assert len(found) > 10
    known = existing()
    assert {attack: names - known for attack, names in found.items() if not names or names - known} == {}
