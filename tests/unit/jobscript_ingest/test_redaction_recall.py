"""How many of the secrets that job scripts really hold are hidden, and how much of the rest is left alone.

tests/data/scripts has the lines; docs/jobscripts.md states the numbers. The rules were made with secrets.txt and
harmless.txt in view, so all of these must be right. The held-out lists were written without sight of the rules: they
are only measured. A rule that is fitted to one of their lines makes them worthless; such a line belongs in the others.
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


HELD_OUT, HELD_OUT_HARMLESS = read("held_out_secrets.txt"), read("held_out_harmless.txt")


def plain(line: str) -> str:
    return MARKED.sub(r"\1", line)


def is_hidden(line: str) -> bool:
    content = hide(plain(line))
    return not any(secret in content for secret in MARKED.findall(line))


def test_the_page_states_what_is_measured_with_the_held_out_lines() -> None:
    hidden = sum(map(is_hidden, HELD_OUT))
    changed = sum(hide(line) != line for line in HELD_OUT_HARMLESS)

    measured = (
        f"of {len(HELD_OUT)} held-out lines with a secret, {hidden} are hidden; "
        f"of {len(HELD_OUT_HARMLESS)} without one, {changed} are changed"
    )
    assert measured in " ".join(PAGE.split())


def test_no_held_out_line_stands_in_another_list_or_twice() -> None:
    held_out = [*map(plain, HELD_OUT), *HELD_OUT_HARMLESS]
    assert len(set(held_out)) == len(held_out)
    assert set(held_out).isdisjoint([*map(plain, SECRETS), *HARMLESS])


def test_every_held_out_secret_is_marked_where_it_stands() -> None:
    # Else the line would count as hidden, or as missed, for a reason that is not the rules'.
    marked = [(plain(line), MARKED.findall(line)) for line in HELD_OUT]
    assert [line for line, secrets in marked if not secrets or any(line.count(secret) != 1 for secret in secrets)] == []
