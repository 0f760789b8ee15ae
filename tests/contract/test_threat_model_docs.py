"""docs/threat-model.md: each promise names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def test_each_attack_names_tests_that_exist() -> None:
    _, _, rest = PAGE.partition("\n| attack | ")
    rows = [line.split(" | ") for line in rest.partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 10
    for attack, _, tests in rows:
        named = re.findall(r"`(test\S*)`", tests)
        assert named, attack
        found = [(ROOT / "tests" / "faults" / name if "/" not in name else ROOT / name).exists() for name in named]
        assert all(found), named
