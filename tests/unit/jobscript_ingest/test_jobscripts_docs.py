"""docs/jobscripts.md promises to hide no more than is hidden."""

import pytest

from jobscript_ingest.redact import redact
from jobscript_ingest.rules import load_rules


@pytest.mark.parametrize("text", ["X=hunter2", "PASS=sesame", "login.sh hunter2", "PASSWORD=$(echo hunter2)"])
def test_what_is_said_not_to_be_hidden_is_not(text: str) -> None:
    assert redact(text.encode(), load_rules(), 100).total == 0
