"""How many of the secrets that job scripts really hold are hidden, and how much of the rest is left alone.

tests/data/scripts has the lines; docs/jobscripts.md states the two numbers.
"""

import re
from pathlib import Path

import pytest

from jobscript_ingest.redact import redact
from jobscript_ingest.rules import load_rules

FOLDER = Path(__file__).parents[2] / "data" / "scripts"
PAGE = (Path(__file__).parents[3] / "docs" / "jobscripts.md").read_text()
RULES = load_rules()
MARKED = re.compile("⟦(.*?)⟧", re.DOTALL)


def read(name: str) -> list[str]:
    lines = (FOLDER / name).read_text().splitlines()
    return [line.replace("⏎", "\n") for line in lines if line and not line.startswith(("# ", "## "))]


def hide(text: str) -> str:
    """Redact a line between two others, which must stay."""
    content = redact(f"cd x\n{text}\nls y\n".encode(), RULES, 2**22).content.decode()
    assert content.startswith("cd x\n")
    assert content.endswith("\nls y\n")
    return content[5:-6]


SECRETS, HARMLESS = read("secrets.txt"), read("harmless.txt")


def test_the_lists_are_as_long_as_is_said() -> None:
    assert f"{len(SECRETS)} lines with a secret" in PAGE
    assert f"{len(HARMLESS)} lines without one" in PAGE
    assert all(MARKED.search(line) for line in SECRETS)


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret_of_the_list_is_hidden(line: str) -> None:
    content = hide(MARKED.sub(r"\1", line))

    assert [secret for secret in MARKED.findall(line) if secret in content] == []
    # The line can still be recognised.
    assert content.startswith(re.split("[⟦\n\"'=-]", line)[0].rstrip("$:{ "))


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_line_of_the_list_stays(line: str) -> None:
    assert hide(line) == line
